"""What a faultline plugin in Python needs beside its faults and probes.

It speaks the contract of sdk/wire/plugin.proto: the handshake, the leases, the rule by
which processes that know nothing of each other settle who puts a fault back, and the
open loop of a probe. It asks for nothing but grpcio and protobuf.
"""

import datetime
import fcntl
import json
import math
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc

import plugin_pb2 as pb
import plugin_pb2_grpc as rpc

COOKIE = ("FAULTLINE_PLUGIN", "a-fault-is-a-lease")
PROTOCOLS = {1}  # that this file speaks
LEVELS = {"debug": 0, "trace": 0, "info": 1, "warn": 2, "error": 3}
MAX_MESSAGE = 16 << 20
INJECT_GRACE = 2.0  # seconds that a revert waits for an injection that was told to stop
LOCK_PATIENCE = 30.0
WATCH_EVERY = 0.1
CALLS = 64  # at once: each session and each probe holds one


class Gone(Exception):
    """The target does not exist any more: a fact in the report, no error."""


class Fault:
    """A fault type. A subclass has the methods below, each for one target."""

    description = {}  # the JSON form of sdk/schema's Fault

    def prepare(self, target, config):
        """Looks, touches nothing; returns (undo, incarnation, resources)."""
        raise NotImplementedError

    def inject(self, config, undo, stopped):
        """Breaks the target. stopped() says that the lease has ended meanwhile."""
        raise NotImplementedError

    def observe(self, config, undo):
        """Returns (bites, detail)."""
        raise NotImplementedError

    def revert(self, undo):
        """Puts back from the record alone, verifies; returns (outcome, proof)."""
        raise NotImplementedError

    def still(self, undo):
        """Says whether the target still is as the fault left it."""
        raise NotImplementedError


class Probe:
    """A probe type: open returns a function that measures once."""

    description = {}

    def open(self, config):
        """Returns a function that returns (status, error): 0 ok, 1 failed, 2 missing."""
        raise NotImplementedError


def log(level, message, **about):
    """Writes a record as faultline reads them: level=WARN msg="…" key="value"."""
    if LEVELS[level] < LEVELS.get(os.environ.get("FAULTLINE_LOG", "info"), 1):
        return
    fields = [f"level={level.upper()}", f"msg={json.dumps(message)}"]
    fields += [f"{name}={json.dumps(str(value))}" for name, value in about.items()]
    os.write(2, (" ".join(fields) + "\n").encode())


def negotiated():
    """The newest protocol that the engine offers and this file speaks; where there is
    none, one of ours, by which the engine sees what is wrong."""
    offered = {int(v) for v in os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "").split(",") if v.isdigit()}
    return max(PROTOCOLS & offered, default=min(PROTOCOLS))


def now_ns():
    return time.time_ns()


class Lease:
    """A fault that this process holds, from before its injection until it is put back."""

    def __init__(self, request):
        self.request = request
        self.began = self.renewed = time.monotonic()
        self.ended = threading.Event()  # nothing more is injected
        self.lost = False  # this process has to put back by itself
        self.returned = threading.Event()  # the injection has
        self.returned_ns = 0
        self.turn = threading.Lock()  # one revert at a time

    def expired(self):
        at = time.monotonic()
        q = self.request
        return at - self.renewed > q.lease_ms / 1e3 or at - self.began > q.hard_end_ms / 1e3


class Arbiter:
    """A run's folder: who holds faults/<id>.lock reverts, and writes the outcome."""

    def __init__(self, folder):
        self.folder = folder

    def epoch(self):
        with open(os.path.join(self.folder, "epoch")) as f:
            return int(f.read())

    def path(self, fault, ending):
        return os.path.join(self.folder, "faults", fault + ending)

    def lock(self, fault):
        f = open(self.path(fault, ".lock"), "a")
        give_up = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return f
            except BlockingIOError:
                if time.monotonic() > give_up:
                    f.close()
                    raise TimeoutError(f"lock fault {fault}: another process is reverting it") from None
                time.sleep(0.02)

    def outcomes(self, fault):
        try:
            with open(self.path(fault, ".outcome.json")) as f:
                return {t["target"]: t for t in json.load(f)["targets"]}
        except FileNotFoundError:
            return {}

    def record(self, fault, outcomes):
        text = json.dumps({"format": 1, "fault": fault, "targets": list(outcomes.values())}, indent=2)
        fd, name = tempfile.mkstemp(dir=os.path.join(self.folder, "faults"), prefix=".outcome.")
        with os.fdopen(fd, "w") as f:
            f.write(text + "\n")
            f.flush()
            os.fsync(f.fileno())
        os.rename(name, self.path(fault, ".outcome.json"))


class Plugin(rpc.PluginServicer):
    def __init__(self, name, version, doc, faults=(), probes=(), targets=()):
        self.faults = {f.description["type"]: f for f in faults}
        self.probes = {p.description["type"]: p for p in probes}
        self.targets = {d["type"]: discover for d, discover in targets}
        self.description = {
            "format": 1, "name": name, "version": version, "doc": doc, "settings": {},
            "faults": [f.description for f in faults], "probes": [p.description for p in probes],
            "targets": [d for d, _ in targets],
        }
        self.guard = threading.RLock()
        self.held = {}  # by fault
        self.over = set()  # faults whose lease has ended, or that were reverted before it began
        self.sessions = 0
        self.closing = False
        self.run, self.arbiter = "", None

    # Looking

    def Describe(self, request, context):
        return pb.DescribeResponse(description_json=json.dumps(self.description).encode())

    def Configure(self, request, context):
        with self.guard:
            if self.held:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "configure: the plugin holds faults of another run")
            if self.sessions and os.environ.get("FAULTLINE_SHARED"):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "configure: another engine is at work with this process of the plugin")
            if request.run != self.run:
                self.over.clear()  # of the next run's faults none has ended yet
            self.run = request.run
        self.arbiter = Arbiter(request.run_dir) if request.run_dir else None
        return pb.ConfigureResponse()

    def Discover(self, request, context):
        found = self.lookup(self.targets, request.type, context)(json.loads(request.match_json))
        yield pb.Candidates(candidate_json=[json.dumps(c).encode() for c in found])

    def Prepare(self, request, context):
        fault = self.lookup(self.faults, request.type, context)
        config = json.loads(request.config_json)
        for raw in request.candidate_json:
            target = json.loads(raw)
            try:
                undo, incarnation, resources = fault.prepare(target, config)
                yield pb.PrepareResult(target=target["id"], undo_json=json.dumps(undo).encode(), incarnation=incarnation, resources=resources)
            except Exception as e:
                yield pb.PrepareResult(target=target["id"], error=str(e) or repr(e), gone=isinstance(e, Gone))

    def Observe(self, request, context):
        fault = self.lookup(self.faults, request.type, context)
        config = json.loads(request.config_json)
        for t in request.targets:
            try:
                bites, detail = fault.observe(config, json.loads(t.undo_json))
                yield pb.ObserveResult(target=t.target, bites=bites, detail=detail, at_unix_ns=now_ns())
            except Exception as e:
                yield pb.ObserveResult(target=t.target, error=str(e) or repr(e), at_unix_ns=now_ns())

    def Scan(self, request, context):
        for known in request.known:
            fault = self.lookup(self.faults, known.type, context)
            for t in known.targets:
                if fault.still(json.loads(t.undo_json)):
                    yield pb.Finding(fault=known.fault, target=t.target, kind="still_matches_undo")

    @staticmethod
    def lookup(all, name, context):
        if name not in all:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"this plugin has no {name!r}")
        return all[name]

    # Breaking, under a lease

    def Inject(self, request, context):
        fault = self.lookup(self.faults, request.type, context)
        refusal = self.fenced(request.lease)
        if not refusal:
            with self.guard:
                refusal = self.refuses(request.lease.fault)
                if not refusal:
                    lease = self.held[request.lease.fault] = Lease(request)
        if refusal:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"fault {request.lease.fault}: nothing was injected: {refusal}")
        threading.Thread(target=self.keep, args=(lease,), daemon=True).start()
        config = json.loads(request.config_json)

        def stopped():
            return lease.ended.is_set() or not context.is_active()

        try:
            for t in request.targets:
                error, gone = "", False
                try:
                    if stopped():
                        raise RuntimeError("not injected: the lease has ended")
                    fault.inject(config, json.loads(t.undo_json), stopped)
                except Exception as e:
                    error, gone = str(e) or repr(e), isinstance(e, Gone)
                yield pb.InjectResult(target=t.target, error=error, gone=gone, at_unix_ns=now_ns())
        finally:
            lease.returned_ns = now_ns()
            lease.returned.set()

    def fenced(self, lease):
        """Refuses an engine that was replaced, and a run that is not ours."""
        if self.run and lease.run != self.run:
            return f"it is of run {lease.run!r}, the plugin was configured for {self.run!r}"
        if self.arbiter:
            try:
                epoch = self.arbiter.epoch()
            except (OSError, ValueError) as e:
                return f"read epoch: {e}"
            if epoch != lease.epoch:
                return f"the run has moved on to epoch {epoch}, this engine has {lease.epoch}"
        return ""

    def refuses(self, fault):
        if self.closing:
            return "the plugin is about to end"
        if fault in self.over:
            return "the lease has ended"
        if fault in self.held:
            return "it has a lease already"
        if not self.sessions:
            return "no session is open: nobody would hold the lease"
        return ""

    def Session(self, requests, context):
        with self.guard:
            self.sessions += 1
        try:
            for renewal in requests:
                yield pb.LeaseEvent(sequence=renewal.sequence, lost=self.renew(renewal.leases))
        except grpc.RpcError:
            pass  # the engine is gone
        finally:
            with self.guard:
                self.sessions -= 1
                self.lose_all()

    def renew(self, leases):
        lost = []
        for asked in leases:
            with self.guard:
                lease = self.held.get(asked.fault)
                if lease is None or lease.ended.is_set() or lease.request.lease != asked:
                    lost.append(asked.fault)
                elif lease.expired() or self.overtaken(asked):
                    self.lose(lease)
                    lost.append(asked.fault)
                else:
                    lease.renewed = time.monotonic()
        return lost

    def overtaken(self, lease):
        try:
            return self.arbiter is not None and self.arbiter.epoch() > lease.epoch
        except (OSError, ValueError):
            return False

    def lose(self, lease):
        self.over.add(lease.request.lease.fault)
        lease.ended.set()
        lease.lost = True

    def lose_all(self):
        for lease in self.held.values():
            self.lose(lease)

    def keep(self, lease):
        """Waits for a lease to run out, and from then on puts back until that is done."""
        q = lease.request
        wait = 0.25
        while True:
            time.sleep(WATCH_EVERY)
            with self.guard:
                if self.held.get(q.lease.fault) is not lease:
                    return  # the engine has put it back
                if lease.expired():
                    self.lose(lease)
                if not lease.lost:
                    continue
            results = self.put_back(lease, pb.RevertRequest(lease=q.lease, type=q.type, by="plugin", targets=q.targets))
            if all(r.outcome != "failed" for r in results) and lease.returned.is_set():
                continue  # settled, or looked at once more: the injection had not returned
            failed = "; ".join(r.error for r in results if r.error) or "it was still being injected"
            log("warn", f"revert failed, trying again in {wait:g} s", fault=q.lease.fault, error=failed)
            time.sleep(wait)
            wait = min(2 * wait, 15)

    # Putting back

    def Revert(self, request, context):
        self.lookup(self.faults, request.type, context)
        with self.guard:
            self.over.add(request.lease.fault)
            lease = self.held.get(request.lease.fault)
            if lease:
                lease.ended.set()
        yield from self.put_back(lease, request)

    def put_back(self, lease, request):
        if lease is None:
            return self.revert(request, 0)
        with lease.turn:
            running = not lease.returned.wait(INJECT_GRACE)
            results = self.revert(request, now_ns() if running else lease.returned_ns)
            settled = {t.target for t in lease.request.targets} <= {r.target for r in results if r.outcome != "failed"}
            if settled and not running:
                with self.guard:
                    if self.held.get(request.lease.fault) is lease:
                        del self.held[request.lease.fault]
            return results

    def revert(self, request, injected_ns):
        """Puts targets back under the fault's lock, after a look at what is on record: an
        outcome from before the injection had returned is not believed."""
        fault, name = self.faults[request.type], request.lease.fault
        lock = self.arbiter.lock(name) if self.arbiter else None
        try:
            known = self.arbiter.outcomes(name) if lock else {}
            results = []
            for t in request.targets:
                k = known.get(t.target)
                final = k and k["outcome"] != "failed" and not k.get("residue") and from_rfc3339(k["at"]) >= injected_ns // 1000 * 1000
                if final and not request.again:
                    results.append(pb.RevertResult(target=t.target, outcome=k["outcome"], by=k["by"], proof=k.get("proof", ""), at_unix_ns=from_rfc3339(k["at"])))
                    continue
                r = pb.RevertResult(target=t.target, by=request.by, at_unix_ns=now_ns())
                try:
                    r.outcome, r.proof = fault.revert(json.loads(t.undo_json))
                except Exception as e:
                    r.outcome, r.residue, r.error = "failed", True, str(e) or repr(e)
                results.append(r)
                known[t.target] = {
                    "target": r.target, "outcome": r.outcome, "by": r.by, "proof": r.proof,
                    "residue": r.residue, "error": r.error, "at": to_rfc3339(r.at_unix_ns),
                }
            if lock:
                self.arbiter.record(name, known)
            return results
        finally:
            if lock:
                lock.close()

    # Measuring

    def Probe(self, request, context):
        """An open loop: each sample has its time, whether earlier ones have answered or not."""
        measure = self.lookup(self.probes, request.type, context).open(json.loads(request.config_json))
        timeout = request.timeout_ns / 1e9
        slot, done = 0, []
        with futures.ThreadPoolExecutor(max_workers=64) as pool:
            while context.is_active():
                scheduled = request.start_unix_ns + slot * request.interval_ns
                wait = (scheduled - now_ns()) / 1e9
                if wait > 0:
                    time.sleep(min(wait, 0.2))
                if now_ns() < scheduled:
                    continue
                done.append((scheduled, pool.submit(timed, measure, scheduled)))
                slot += 1
                batch = []
                while done and (done[0][1].done() or now_ns() - done[0][0] > request.timeout_ns):
                    at, future = done.pop(0)
                    batch.append((at,) + (future.result() if future.done() else (1, math.nan, f"no answer within {timeout:g} s")))
                if batch:
                    yield samples(batch, done[0][0] if done else scheduled + request.interval_ns)

    def Act(self, request, context):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this plugin has no actions")

    # Ending

    def close(self):
        """Puts everything back, and ends the process."""
        with self.guard:
            self.closing = True
            self.lose_all()
        while True:
            with self.guard:
                if not self.held:
                    break
            time.sleep(0.02)
        os._exit(0)

    def serve(self):
        if os.environ.get(COOKIE[0]) != COOKIE[1]:
            if sys.argv[1:] in (["-describe"], ["--describe"]):
                print(json.dumps(self.description, indent=2))
                sys.exit(0)
            print(f"This is the faultline plugin {self.description['name']!r}; faultline starts it by itself.")
            sys.exit(2)
        handshake = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # a stray print must not spoil the handshake
        signal.signal(signal.SIGHUP, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=self.close).start())
        size = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=CALLS), options=size)
        rpc.add_PluginServicer_to_server(self, server)
        socket = os.path.join(os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.mkdtemp(), "plugin.sock")
        server.add_insecure_port("unix:" + socket)
        server.start()
        print(f"1|{negotiated()}|unix|{socket}|grpc", file=handshake, flush=True)
        handshake.close()
        # The engine holds the other end of standard input and writes nothing to it.
        threading.Thread(target=self.end_with_engine, daemon=True).start()
        while True:
            signal.pause()

    def end_with_engine(self):
        while os.read(0, 4096):
            pass
        self.close()


def timed(measure, scheduled_ns):
    status, error = measure()
    return status, (now_ns() - scheduled_ns) / 1e9, error


def samples(batch, complete_ns):
    b = pb.SampleBatch(start_unix_ns=batch[0][0], complete_unix_ns=complete_ns)
    b.status = bytes(s for _, s, _, _ in batch)
    for at, _, latency, error in batch:
        b.offset_ns.append(at - batch[0][0])
        b.latency_s.append(latency)
        if error and error not in b.error:
            b.error.append(error)
        b.error_index.append(list(b.error).index(error) + 1 if error else 0)
    return b


def to_rfc3339(ns):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9)) + f".{ns % 10**9:09d}Z"


def from_rfc3339(text):
    """Nanoseconds since the Unix epoch, with the resolution of a microsecond."""
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1e6) * 1000
