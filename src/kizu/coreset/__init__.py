"""Greedy k-center selection: a few rows that cover all the others.

The farthest-first traversal of Gonzalez, "Clustering to minimize the maximum intercluster distance"
(Theor. Comput. Sci. 38, 1985), which PatchCore (arXiv 2106.08265, algorithm 1) uses to thin its memory bank:
pick the row farthest from all rows picked so far, again and again.

Sequential greedy reads all N rows for every pick. Here picks are made in **certified blocks**, and rows are looked at
only **when they come to matter**:

1. Of every row an upper bound of its distance to the nearest centre is kept: that to the nearest of those it was
   compared with. The B rows of largest bound form the block; the best bound outside it is the *rival*.
2. Rows of the block, and some that come next, are compared with the centres they were not compared with: in the order
   in which these were picked, each row until it is nearer than all of them. As long as this changes the block, 1 is
   done again.
3. Greedy runs inside the block alone. A pick stands as long as it beats the rival: distances only shrink and bounds
   are never below them, so no outside row can have come to the front. Sequential greedy would have picked it too.
4. New centres are tried on the rows of groups around them (`kizu.coreset._groups`), which they most likely cover. A
   row known to be covered well sleeps until picks get as dense as it is covered, mostly for good.

On patches of images a tenth of all pairs of a row and a centre is compared before a tenth of the rows is picked.

**What a distance is.** float32 products lose digits by cancellation, and their last bits depend on how a matrix
library cuts up the work. So they only *filter*: a pair whose float32 estimate, less a proven rounding bound,
cannot lower the kept distance is dropped; every other pair is computed anew in float64 from the difference
of the two rows. The distances that decide a pick, and with them the picks, therefore depend on the rows alone and not
on block size, threads or machine. Of equal distances the lowest row index wins.

**Continuing.** Greedy never looks back: what comes next depends on the distances to the centres so far alone,
wherever these came from. `k_center_continued` therefore picks from new rows what greedy would pick from them if the
centres of an earlier selection had been its first picks.
"""

from kizu.coreset._greedy import BLOCK_ROWS, Coreset, k_center_continued, k_center_greedy

__all__ = ["BLOCK_ROWS", "Coreset", "k_center_continued", "k_center_greedy"]
