"""Events come in: Faust agents over the input topics. The only importer of Faust."""
