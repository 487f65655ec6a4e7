package history

// version is that of the tables below, and of what judging makes of a journal: it
// rises when either changes, and an index of another version is made anew.
const version = 1

// Runs sort by time by their names. Lengths are seconds, moments nanoseconds since the
// Unix epoch. The narrow tables are what lists need; details has the whole of each
// experiment (judge.Experiment) and, under an empty name, of each run (judge.Run), and
// the views take it apart for whoever asks with a tool of their own.
const tables = `
CREATE TABLE runs (
	id          TEXT PRIMARY KEY,
	size        INTEGER NOT NULL, -- of the journal that the rest was made of
	written     INTEGER NOT NULL, -- when that last changed
	state       TEXT NOT NULL,    -- ended, unfinished, unreadable
	error       TEXT NOT NULL,
	scenario    TEXT NOT NULL,
	environment TEXT NOT NULL,
	title       TEXT NOT NULL,
	started     INTEGER NOT NULL,
	duration_s  REAL NOT NULL,
	verdict     TEXT NOT NULL,
	exit_code   INTEGER NOT NULL,
	residue     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_scenario ON runs (scenario, environment, id);

CREATE TABLE experiments (
	scenario          TEXT NOT NULL,
	environment       TEXT NOT NULL,
	name              TEXT NOT NULL,
	run               TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
	place             INTEGER NOT NULL, -- in its run
	verdict           TEXT NOT NULL,
	reason            TEXT NOT NULL,
	residue           INTEGER NOT NULL,
	started           INTEGER NOT NULL, -- 0: it was not
	duration_s        REAL NOT NULL,
	sent              INTEGER NOT NULL, -- of the probe that lost most
	failed            INTEGER NOT NULL,
	missing           INTEGER NOT NULL,
	to_impact_min_s   REAL, -- no minimum: not known; no maximum: its end was not seen
	to_impact_max_s   REAL,
	to_detect_min_s   REAL,
	to_detect_max_s   REAL,
	to_recover_min_s  REAL,
	to_recover_max_s  REAL,
	PRIMARY KEY (scenario, environment, name, run)
) WITHOUT ROWID;
CREATE INDEX experiments_run ON experiments (run);
CREATE INDEX experiments_edge ON experiments (scenario, environment, name, run, verdict);

CREATE TABLE faults (
	run          TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
	scenario     TEXT NOT NULL,
	environment  TEXT NOT NULL,
	experiment   TEXT NOT NULL,
	verdict      TEXT NOT NULL, -- of the experiment
	fault        TEXT NOT NULL,
	type         TEXT NOT NULL,
	target_block TEXT NOT NULL, -- the group that its targets were picked from
	kind         TEXT NOT NULL,
	target_id    TEXT NOT NULL,
	target       TEXT NOT NULL,
	bites        INTEGER NOT NULL,
	gone         INTEGER NOT NULL,
	outcome      TEXT NOT NULL,
	put_back_by  TEXT NOT NULL,
	residue      INTEGER NOT NULL
);
CREATE INDEX faults_run ON faults (run);
CREATE INDEX faults_type ON faults (scenario, type, target_block);

CREATE TABLE details (
	run        TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
	place      INTEGER NOT NULL, -- -1: the run itself
	experiment TEXT NOT NULL,
	result     TEXT NOT NULL,
	PRIMARY KEY (run, place)
);

CREATE VIEW objectives AS SELECT
	d.run, d.experiment,
	json_extract(o.value, '$.objective') objective, json_extract(o.value, '$.phase') phase,
	json_extract(o.value, '$.judged') judged, json_extract(o.value, '$.verdict') verdict,
	json_extract(o.value, '$.target') target, json_extract(o.value, '$.n') n,
	json_extract(o.value, '$.bad') bad, json_extract(o.value, '$.missing') missing,
	json_extract(o.value, '$.bad_low') bad_low, json_extract(o.value, '$.bad_high') bad_high,
	json_extract(o.value, '$.design_effect') design_effect
FROM details d, json_each(d.result, '$.objectives') o WHERE d.place >= 0;

CREATE VIEW latencies AS SELECT
	d.run, d.experiment,
	json_extract(l.value, '$.probe') probe, json_extract(l.value, '$.phase') phase,
	json_extract(l.value, '$.n') n, json_extract(q.value, '$.q') q,
	json_extract(q.value, '$.value_s') value_s, json_extract(q.value, '$.low_s') low_s,
	json_extract(q.value, '$.high_s') high_s
FROM details d, json_each(d.result, '$.latencies') l, json_each(l.value, '$.quantiles') q WHERE d.place >= 0;
`
