package plugintest

// Promise is one that the kit looks at.
type Promise struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
	// Needs are the fields of Case without which the kit cannot look.
	Needs []string `json:"needs,omitempty"`
}

const descriptionComplete = "the description is complete"

// irreversible are the checks of a fault that nothing puts back.
func (k *kit) irreversible() []check {
	return []check{
		{"prepare changes nothing", k.prepareChangesNothing},
		{"an irreversible fault has to be accepted", k.irreversibleIsRefused},
		{"the fault bites", k.bites},
	}
}

// reversible are those of every other fault; what takes longest comes first.
func (k *kit) reversible() []check {
	return []check{
		{"crash during inject", k.crashDuringInject},
		{"crash during revert", k.crashDuringRevert},
		{"leaves nothing running", k.leavesNothingRunning},
		{"calls end with their context", k.callsEndWithTheirContext},
		{"another incarnation is left alone", k.anotherIncarnation},
		{"a target that is gone", k.targetIsGone},
		{"it ends by itself when everybody is dead", k.endsByItself},
		{"a renewed lease keeps what holds it", k.renewedHolds},
		{"a lease that is not renewed is put back", k.notRenewed},
		{"a lost stream is put back", k.lostStream},
		{"a lost standard input is put back", k.lostInput},
		{"SIGTERM is put back", k.terminated},
		{"crash before inject", k.crashBeforeInject},
		{"crash after inject", k.crashAfterInject},
		{"revert needs only the undo record", k.revertNeedsOnlyTheRecord},
		{"several targets at once", k.severalTargets},
		{"the fault bites and is put back", k.bitesAndIsPutBack},
		{"revert is idempotent", k.revertIsIdempotent},
		{"revert without inject does no harm", k.revertWithoutInject},
		{"scan tells the truth", k.scanTellsTheTruth},
		{"prepare changes nothing", k.prepareChangesNothing},
	}
}

// Promises lists all that the kit looks at, in the order in which an author meets them.
func Promises() []Promise {
	return []Promise{
		{Name: descriptionComplete, Doc: "The description survives JSON, and plugin, fault and every argument say what they are."},
		{Name: "prepare changes nothing", Doc: "Prepare, called twice, leaves the target alone, returns the same undo record, and nothing bites yet."},
		{Name: "the fault bites and is put back", Doc: "After Inject the target is bitten and Observe says so; after Revert neither is."},
		{Name: "several targets at once", Doc: "The same with two targets in one call, with a result for each."},
		{Name: "revert is idempotent", Doc: "A second Revert succeeds and changes nothing."},
		{Name: "revert without inject does no harm", Doc: "Revert of what was only prepared succeeds and changes nothing."},
		{Name: "revert needs only the undo record", Doc: "A process that knows nothing else puts back."},
		{Name: "scan tells the truth", Doc: "Scan finds the fault while it is in, and neither before nor after."},
		{Name: "crash before inject", Doc: "After a kill between Prepare and Inject, another process's Revert finds nothing to do."},
		{Name: "crash during inject", Doc: "After a kill at many moments of Inject, another process puts back."},
		{Name: "crash after inject", Doc: "After a kill while the fault is on, another process puts back."},
		{Name: "crash during revert", Doc: "After a kill at many moments of Revert, another process finishes it."},
		{Name: "a lease that is not renewed is put back", Doc: "The plugin puts back by itself when nobody renews."},
		{Name: "a lost stream is put back", Doc: "It does when the session's stream ends."},
		{Name: "a lost standard input is put back", Doc: "It does when the engine's end of its standard input closes, and then ends."},
		{Name: "SIGTERM is put back", Doc: "It does at SIGTERM, and then ends."},
		{Name: "a renewed lease keeps what holds it", Doc: "What the kernel or a helper would end by itself stays as long as the lease is renewed."},
		{Name: "it ends by itself when everybody is dead", Doc: "What the kernel or a helper holds ends after a kill of everybody, as Hold says."},
		{Name: "a target that is gone", Doc: "Prepare and Inject say that it is gone, and Revert has nothing to do.", Needs: []string{"Destroy"}},
		{Name: "another incarnation is left alone", Doc: "Neither Inject nor Revert touches what has come in the target's place.", Needs: []string{"Replace"}},
		{Name: "calls end with their context", Doc: "A call that is cancelled returns soon, and Revert puts right whatever it did."},
		{Name: "leaves nothing running", Doc: "Many lives of the fault leave no processes, descriptors or goroutines behind, and the plugin ends when its engine has gone."},
		{Name: "an irreversible fault has to be accepted", Doc: "Prepare of a fault that nothing puts back is refused unless the scenario accepts it."},
		{Name: "the fault bites", Doc: "The same of an irreversible fault: after Inject the target is bitten, and Observe says so."},
	}
}
