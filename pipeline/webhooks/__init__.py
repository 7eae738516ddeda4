"""What leaves for other systems: churn alerts as signed webhooks, in our own shape or in that of a known receiver.

::

    alert --> shapes --> signing --> attempt --> verdict --> schedule
              what it      who it      one POST   what the    when the next
              says         is from               answer means attempt is due

``addresses`` judges every address before a connection to it is made; ``endpoints`` is the file of receivers;
``texts`` says things in the receiver's language.
"""
