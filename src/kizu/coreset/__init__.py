"""Greedy k-center selection: a few rows that cover all the others.

The farthest-first traversal of Gonzalez, "Clustering to minimize the maximum intercluster distance"
(Theor. Comput. Sci. 38, 1985), which PatchCore (arXiv 2106.08265, algorithm 1) uses to thin its memory bank:
pick the row farthest from all rows picked so far, again and again.

Sequential greedy reads all N rows for every pick. Here picks are made in **certified blocks**:

1. Every row's distance to its nearest centre is kept. The B rows of largest distance form the block; the
   best row outside it is the *rival*.
2. Greedy runs inside the block alone. A pick stands as long as it beats the rival: distances only shrink,
   so no outside row can have come to the front. It is the pick sequential greedy would have made.
3. All N distances are brought up to date with one matrix product against the block's picks.

**What a distance is.** float32 products lose digits by cancellation, and their last bits depend on how a matrix
library cuts up the work. So they only *filter*: a pair whose float32 estimate, less a proven rounding bound,
cannot lower the kept distance is dropped; every other pair is computed anew in float64 from the difference
of the two rows. The kept distances, and with them the picks, therefore depend on the rows alone and not on block
size, threads or machine. Of equal distances the lowest row index wins.

**Continuing.** Greedy never looks back: what comes next depends on the distances to the centres so far alone,
wherever these came from. `k_center_continued` therefore picks from new rows what greedy would pick from them if the
centres of an earlier selection had been its first picks.

**Pruning.** Most pairs are ruled out before step 3's product, by the few directions in which the rows vary most
(`kizu.coreset._components`), and of these products many for whole groups of rows at once (`kizu.coreset._groups`).
Where that rules out too little, step 3 is as above. Either way the picks are the same.
"""

from kizu.coreset._greedy import BLOCK_ROWS, Coreset, k_center_continued, k_center_greedy

__all__ = ["BLOCK_ROWS", "Coreset", "k_center_continued", "k_center_greedy"]
