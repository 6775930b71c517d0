"""The core types. Everything else imports them; they import nothing of ours.

======================  ====================================================
module                  what it holds
======================  ====================================================
:mod:`.record`          `Cell`, `CellRef`, `Record`: the rows of the tables
:mod:`.source`          `Source`, `SourceRoots`: the only openers of raw bytes
:mod:`.content`         `Content`, `LazyArray`: what a reader found in a file
:mod:`.plan`            `Plan`, `Node`, `Field`, `ArraySpec`: what will be written
:mod:`.receipt`         `Receipt`: what the run found out, inside the result
:mod:`.finding`         `Finding`, `Location`, `Severity`: what people should know
======================  ====================================================
"""
