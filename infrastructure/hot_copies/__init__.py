"""Hot copies of the read models in Redis: documents by id, live counts, and a stream of changes to tail.

Three keys stand for all copies: `mark`, up to where they are good; `floor`, below which none is believed, and the
era in which they must have been made; `lease`, which whoever keeps them renews. When a batch is missing (a crash, an
outage, an emptied Redis), the floor rises to the present: that costs every copy once, and can't be wrong.
"""

from infrastructure.hot_copies.guarded import Guarded, cancellable
from infrastructure.hot_copies.keys import SCRIPT_KEYS, Keys, stamp
from infrastructure.hot_copies.redis_copies import RedisHotCopies
from infrastructure.hot_copies.use import UseBook

__all__ = ["SCRIPT_KEYS", "Guarded", "Keys", "RedisHotCopies", "UseBook", "cancellable", "stamp"]
