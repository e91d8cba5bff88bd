"""64 associations at once: everybody is served, nobody waits for the others to end."""

from __future__ import annotations

import threading
from pathlib import Path

from scp.scu import Offer, Outgoing, Remote, open_association
from tests.bridge.archives import STUDY, data_set, receive
from tests.scp.asking import FIND, GET, STUDY_ROOT
from tests.scp.running import running_door, settings, wait_for
from tests.scp.test_retrieval import DIMSE, Inbox, identifier
from tests.scp.wire import CT, EXPLICIT

ASSOCIATIONS, ROUNDS = 64, 5
QUERY = {"00080052": {"vr": "CS", "Value": ["STUDY"]}, "0020000D": {"vr": "UI"}, "00100010": {"vr": "PN"}}
OFFERS = (
    Offer(STUDY_ROOT + FIND, (EXPLICIT,)),
    Offer(STUDY_ROOT + GET, (EXPLICIT,)),
    Offer(CT, (EXPLICIT,), as_scp=True),
)


class Client(threading.Thread):
    """Queries and retrieves in turn until it is told to stop."""

    def __init__(self, port: int, everybody: threading.Barrier, stop: threading.Event) -> None:
        super().__init__()
        self.done = 0
        self.error: BaseException | None = None
        self._remote = Remote("BRIDGE", "127.0.0.1", port)
        self._everybody, self._stop_now = everybody, stop

    def run(self) -> None:
        try:
            with open_association(self._remote, OFFERS, calling_ae_title="WS", dimse=DIMSE) as association:
                self._everybody.wait(30)  # all are open before the first asks
                while not self._stop_now.is_set():
                    self._round(association)
                    self.done += 1
        except BaseException as error:
            self.error = error
            self._everybody.abort()

    def _round(self, association: Outgoing) -> None:
        (found,) = association.find(STUDY_ROOT + FIND, QUERY)
        assert found["0020000D"]["Value"] == [STUDY]
        inbox = Inbox()
        *_, last = association.get(STUDY_ROOT + GET, identifier("STUDY", study=STUDY), inbox.begin)
        assert (last.status.code, len(inbox.data)) == (0x0000, 3)


def test_e16_of_64_associations_none_is_starved(tmp_path: Path) -> None:
    wanted = settings(associations=ASSOCIATIONS, associations_per_peer=ASSOCIATIONS)
    with running_door(tmp_path, wanted) as door:
        for number in (1, 2, 3):
            receive(door.archive, data_set(number))
        stop, everybody = threading.Event(), threading.Barrier(ASSOCIATIONS)
        clients = [Client(door.port, everybody, stop) for _ in range(ASSOCIATIONS)]
        for client in clients:
            client.start()
        try:
            wait_for(
                lambda: any(one.error for one in clients) or min(one.done for one in clients) >= ROUNDS,
                "each association is served several times while all the others ask too",
                patience_s=120,
            )
            counts = [client.done for client in clients]
        finally:
            stop.set()
            for client in clients:
                client.join(60)
        assert [client.error for client in clients if client.error] == []
        assert max(counts) <= 20 * min(counts), sorted(counts)
