package scenario

import (
	"strings"

	"github.com/faultline-go/faultline/engine/trust"
	"github.com/faultline-go/faultline/sdk/schema"
)

// The language in tables. The loader takes from them which blocks there are, how they are
// labelled and which arguments and blocks each has; `faultline schema` and the reference
// of the language are made of them.

// BlockType is a block of the language.
type BlockType struct {
	Name      string      `json:"name"`
	Labels    []string    `json:"labels,omitempty"` // what its labels are: "TYPE", "NAME"
	Doc       string      `json:"doc"`
	Arguments []Argument  `json:"arguments,omitempty"`
	Blocks    []BlockType `json:"blocks,omitempty"`
	// Body says which of a plugin's bodies the block has beside its own arguments: that of
	// the fault, probe, action that its first label names, of the target's match, or the
	// plugin's settings.
	Body     string `json:"body,omitempty"`
	Once     bool   `json:"once,omitempty"`     // there is one at most
	Required bool   `json:"required,omitempty"` // there is one at least
	Open     bool   `json:"open,omitempty"`     // its arguments have the names that one gives them
}

// Argument is an argument of the language's own. Beside the types of a plugin's arguments
// there are "reference" and "list(reference)", "condition", which is an expression that is
// evaluated later, "type", and "any".
type Argument struct {
	schema.Attribute
	References []string `json:"references,omitempty"` // the blocks that a reference may name
}

// Language are the blocks that stand in a scenario's files.
func Language() []BlockType { return languageBlocks }

// PolicyLanguage are the blocks that stand in a policy's files.
func PolicyLanguage() []BlockType { return policyBlocks }

func argument(name, typ, doc string) Argument {
	return Argument{Attribute: schema.Attribute{Name: name, Type: typ, Doc: doc}}
}

func (a Argument) required() Argument          { a.Required = true; return a }
func (a Argument) otherwise(v any) Argument    { a.Default = v; return a }
func (a Argument) one(of ...string) Argument   { a.Enum = of; return a }
func (a Argument) unit(u string) Argument      { a.Unit = u; return a }
func (a Argument) whole() Argument             { a.Whole = true; return a }
func (a Argument) to(roots ...string) Argument { a.References = roots; return a }
func (a Argument) atLeast(n float64) Argument  { a.Min = &n; return a }
func (a Argument) atMost(n float64) Argument   { a.Max = &n; return a }

var (
	argForEach     = argument("for_each", "any", "A map or a set of strings: the block stands for one of each, with each.key and each.value.")
	argDescription = argument("description", "string", "What it is for.")
	stepRoots      = []string{"fault", "action", "prompt"}
	argAfter       = argument("after", "list(reference)", "Steps that are over first: a fault when it is verified to be put back. start then counts from there.").to(stepRoots...)
	argStart       = argument("start", "duration", "When it begins, on the experiment's time line.").otherwise("0s")
	argProbe       = argument("probe", "reference", "The probe whose samples are looked at.").to("probe").required()
	argGood        = argument("good", "condition", "When a sample is good: an expression of sample.ok, sample.latency, sample.value and what else the probe's samples have.").required()
	argDays        = argument("days", "list(string)", "Days of the week; without it every day.").one("mon", "tue", "wed", "thu", "fri", "sat", "sun")
	argHours       = argument("hours", "string", "From one time of day to another, such as \"09:00-16:00\"; without it all day.")
	argZone        = argument("zone", "string", "Time zone of the hours, such as \"Europe/Berlin\".").otherwise("UTC")
	filterBlock    = BlockType{Name: "filter", Doc: "Leaves out of what was found whatever does not meet a condition. With several all must hold.", Arguments: []Argument{
		argument("condition", "condition", "An expression of what the plugin reports, such as candidate.state == \"running\".").required(),
	}}
	pickBlock = BlockType{Name: "pick", Once: true, Doc: "How many of what is left are taken: without this block one. More than one needs a limits block.", Arguments: []Argument{
		argument("count", "number", "So many.").whole().atLeast(1),
		argument("percent", "number", "A share of them, rounded down, and one at least.").unit("percent"),
		argument("all", "bool", "All of them: true."),
		argument("groups", "number", "So many groups, whole.").whole().atLeast(1),
		argument("group_by", "string", "With groups: the attribute that makes the groups, such as \"zone\", or an entry of a map, such as \"labels.rack\"."),
	}}
)

var limitsBlock = BlockType{Name: "limits", Once: true, Doc: "How far a run may go. The environment's policy can only tighten it.", Arguments: []Argument{
	argument("max_targets", "number", "At once, over the whole run.").whole().atLeast(1),
	argument("max_percent", "number", "Of what any one target block finds.").unit("percent"),
	argument("keep_per_zone", "number", "So many of each zone stay untouched.").whole().atLeast(0),
}, Blocks: []BlockType{{Name: "window", Doc: "When a run may begin and must be over. With several, one of them is enough.", Arguments: []Argument{argDays, argHours, argZone}}}}

// policyBlocks are those of a policy's file.
var policyBlocks = []BlockType{{Name: "environment", Labels: []string{"NAME"}, Doc: "What may be done in an environment, whatever a scenario says.", Arguments: []Argument{
	argument("plugins", "list(string)", "The only plugins that may be used; without it all."),
	argument("faults", "list(string)", "The only types of faults, such as \"docker_kill\"; without it all."),
	argument("deny_capabilities", "list(string)", "What no type may need.").one(vocabulary(schema.Capabilities())...),
	argument("trust", "list(string)", "The only grounds on which plugins may start; without it all.").one(vocabulary(trust.Bases())...),
}, Blocks: []BlockType{withinPolicy(limitsBlock)}}}

func withinPolicy(limits BlockType) BlockType {
	limits.Doc = "How far a run may go. Of these and the scenario's own the tighter hold."
	return limits
}

// vocabulary are the words of a closed one.
func vocabulary[T ~string](words []T) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, string(w))
	}
	return out
}

var languageBlocks = []BlockType{
	{Name: "scenario", Labels: []string{"NAME"}, Once: true, Required: true, Doc: "The game day itself.", Arguments: []Argument{
		argument("title", "string", "What it shows, in a line."),
		argument("owner", "string", "Who answers for it."),
		argument("environment", "string", "Where it runs. The environment's policy is found by it."),
		argument("runbook", "string", "Where it says what to do when it goes wrong."),
		argument("checklist", "list(string)", "What people see to before it, such as \"On-call knows\"."),
		argument("seed", "number", "The same seed picks the same of the same targets. Without it a random one is taken, and recorded.").whole(),
		argument("lease", "duration", "How long faults stay when nobody renews them, where they do not say so themselves.").otherwise(plainDuration(DefaultLease)).atLeast(MinLease.Seconds()),
	}},
	{Name: "variable", Labels: []string{"NAME"}, Doc: "A value from outside: -var, -var-file or FAULTLINE_VAR_NAME. In an experiment for others to use, an input.", Arguments: []Argument{
		argument("type", "type", "string, number, bool, list(string), map(number), object({ … }) or any.").otherwise("any"),
		argument("default", "any", "Its value when none is given: a constant."),
		argument("sensitive", "bool", "Never shown, and never written down.").otherwise(false),
		argDescription,
	}, Blocks: []BlockType{{Name: "validation", Doc: "What must hold of the value.", Arguments: []Argument{
		argument("condition", "condition", "An expression of the variable.").required(),
		argument("error_message", "string", "What is said when it does not hold.").required(),
	}}}},
	{Name: "locals", Open: true, Doc: "Values that are calculated once, and named local.NAME."},
	{Name: "plugin", Labels: []string{"NAME"}, Body: "settings", Doc: "What is wanted of a plugin, and its settings. A plugin that needs neither needs no block.", Arguments: []Argument{
		argument("source", "string", "Where it comes from: [HOST/]NAMESPACE/NAME. Without it, one of faultline's own plugins."),
		argument("version", "string", "Which versions will do, such as \"~> 0.1\" or \">= 0.2, < 1.0\"."),
		argument("environment", "list(string)", "Names of the variables that the plugin gets from faultline's environment."),
	}},
	{Name: "probe", Labels: []string{"TYPE", "NAME"}, Body: "probe", Doc: "A stream of samples.", Arguments: []Argument{
		argument("rate", "number", "Samples a second, in the place of interval. A slow answer delays no later sample.").unit("per second").atMost(MaxRate),
		argument("interval", "duration", "From one sample to the next.").otherwise(plainDuration(DefaultInterval)),
		argument("timeout", "duration", "How long a sample may take.").otherwise(plainDuration(DefaultTimeout)),
		argForEach,
	}},
	{Name: "steady_state", Labels: []string{"NAME"}, Doc: "What healthy means.", Arguments: []Argument{argDescription}, Blocks: []BlockType{
		{Name: "objective", Labels: []string{"NAME"}, Required: true, Doc: "A share of good samples.", Arguments: []Argument{
			argProbe, argGood,
			argument("target", "number", "The share of the samples that must be good.").required().unit("ratio"),
			argument("min_samples", "number", "With fewer nothing is concluded.").otherwise(float64(DefaultMinSamples)).whole().atLeast(1),
			argument("judge", "string", "exact weighs how few samples there are; point looks at the share alone.").otherwise("exact").one("exact", "point"),
			argument("count_failed", "bool", "Whether a sample that failed counts as bad, or as missing.").otherwise(true),
			argDescription,
		}, Blocks: []BlockType{{Name: "during", Once: true, Doc: "What holds while the fault is on.", Arguments: []Argument{
			argument("target", "number", "The share then.").required().unit("ratio"),
		}}}},
	}},
	{Name: "target", Labels: []string{"TYPE", "NAME"}, Doc: "Whom faults may touch: the plugin finds, the engine filters and picks.", Arguments: []Argument{
		argForEach,
		argument("on_empty", "string", "When nothing is found: fail makes no plan, skip makes the experiment not exercised.").otherwise("fail").one("fail", "skip"),
	}, Blocks: []BlockType{
		{Name: "match", Body: "match", Once: true, Doc: "What the plugin looks for."},
		filterBlock, pickBlock,
	}},
	{Name: "experiment", Labels: []string{"NAME"}, Required: true, Doc: "A hypothesis, and the time line that tests it. Without a fault it is a check. Its steps stand in it, or come from a source.", Arguments: []Argument{
		argForEach,
		argument("hypothesis", "string", "What is believed, in a sentence."),
		argument("steady_state", "list(reference)", "What is judged.").to("steady_state").required(),
		argument("expect", "string", "tolerate is judged during the fault and after it; recover after it, from steady again.").otherwise("tolerate").one("tolerate", "recover"),
		argument("baseline", "duration", "How long everything must be well before the first fault.").otherwise(plainDuration(DefaultBaseline)),
		argument("observe", "duration", "How long the time after the last fault is judged; at least until everything can be called steady, which takes 5s and `min_samples`. Without it as long as the objectives need, a minute at most."),
		argument("recover_within", "duration", "In which time it must be steady again.").otherwise(plainDuration(DefaultRecover)),
		argument("depends_on", "list(reference)", "Experiments that completed first.").to("experiment"),
		argument("source", "string", "Where its steps come from: \"catalog:NAME\", or a folder such as \"./experiments/mine\"."),
		argument("inputs", "any", "With source: values of its variables, as a map."),
	}, Blocks: []BlockType{
		{Name: "fault", Labels: []string{"TYPE", "NAME"}, Body: "fault", Doc: "Breaks something for a time, and puts it back.", Arguments: []Argument{
			argument("target", "reference", "What it is injected into.").to("target").required(),
			argStart, argAfter,
			argument("ends_after", "list(reference)", "When these steps are over it is put back, sooner than its duration.").to(stepRoots...),
			argument("duration", "duration", "How long it stays.").required().atLeast(0.001),
			argument("lease", "duration", "How long it stays when nobody renews it; without it the scenario's.").atLeast(MinLease.Seconds()),
			argForEach,
			argument("on_empty", "string", "As of its target, for this fault alone.").one("fail", "skip"),
			argument("irreversible", "string", "accept takes a fault that nothing puts back.").one("accept"),
		}},
		{Name: "action", Labels: []string{"TYPE", "NAME"}, Body: "action", Doc: "Does something once, and leaves nothing to put back.", Arguments: []Argument{
			argStart, argAfter,
			argument("timeout", "duration", "How long it may take.").otherwise(plainDuration(DefaultActionTimeout)),
			argForEach,
		}},
		{Name: "prompt", Labels: []string{"NAME"}, Doc: "A hold point: the time line waits until a person says whether to go on.", Arguments: []Argument{
			argument("question", "string", "What is asked.").required(),
			argument("default", "string", "The answer when nobody is asked, or nobody answers in time.").otherwise(Continue).one(Continue, Stop),
			argStart, argAfter,
			argument("timeout", "duration", "How long it waits for an answer; without it for ever.").atLeast(1),
		}},
		{Name: "chance", Once: true, Doc: "Lets the experiment happen now and then: on a work day with a chance, once at most.", Arguments: []Argument{
			argument("mean_days", "number", "A chance of one in so many, on each work day.").otherwise(float64(DefaultMeanDays)).atLeast(1).unit("days"),
			argument("min_days", "number", "Work days from the last time, at least.").otherwise(1.0).whole().atLeast(1).unit("days"),
			withDoc(argDays, "The work days.").otherwise([]any{"mon", "tue", "wed", "thu", "fri"}), argHours, argZone,
			argument("at", "string", "drawn: at a time of the window that is drawn, too; any: as soon as it is run in the window.").otherwise("drawn").one("drawn", "any"),
			argument("group", "string", "What the times are counted of; without it this experiment of this scenario."),
			argument("ledger", "string", "Folder of the record that runners share, an absolute path; without it that of the state."),
		}},
	}},
	{Name: "guard", Labels: []string{"NAME"}, Doc: "When to stop at once, whatever is tested.", Arguments: []Argument{
		argProbe, argGood,
		argument("for", "duration", "Bad for so long; without it the first bad sample stops the run.").otherwise("0s"),
		argument("no_data_after", "duration", "No sample for so long is bad news, too.").otherwise(plainDuration(DefaultNoData)),
		argDescription,
	}},
	limitsBlock,
}

func withDoc(a Argument, doc string) Argument { a.Doc = doc; return a }

// names are what a block takes.
type names struct{ arguments, blocks []string }

// known has the names of each block, by the path to it: "steady_state/objective".
var known = func() map[string]names {
	all := map[string]names{}
	var walk func(prefix string, blocks []BlockType)
	walk = func(prefix string, blocks []BlockType) {
		for _, b := range blocks {
			var n names
			for _, a := range b.Arguments {
				n.arguments = append(n.arguments, a.Name)
			}
			for _, inner := range b.Blocks {
				n.blocks = append(n.blocks, inner.Name)
			}
			all[prefix+b.Name] = n
			walk(prefix+b.Name+"/", b.Blocks)
		}
	}
	walk("", languageBlocks)
	walk("", policyBlocks) // none is called as one of a scenario
	return all
}()

// knows reports every argument and nested block that the language's block does not have.
func (a *args) knows(path string) {
	n, ok := known[path]
	if !ok {
		panic("scenario: the language has no block " + path)
	}
	a.only(n.arguments, n.blocks)
}

// topLevel has what the labels of a block of a scenario file are.
var topLevel = func() map[string][]string {
	all := map[string][]string{}
	for _, b := range languageBlocks {
		all[b.Name] = append([]string{}, b.Labels...)
	}
	return all
}()

// Reference is a way to name a value or a block.
type Reference struct {
	Root string `json:"root"`
	Form string `json:"form"`
	Kind string `json:"kind"` // value; stream, which has a value only while a run goes on; block
	Doc  string `json:"doc"`
}

// References are those of the language.
func References() []Reference { return references }

var references = []Reference{
	{"var", "var.NAME", "value", "The value of a variable."},
	{"local", "local.NAME", "value", "A value of a locals block."},
	{"each", "each.key, each.value", "value", "In a block with for_each, or inside one: this round's key and value."},
	{"sample", "sample.FIELD", "stream", "In the good of an objective or a guard: the sample. Every one has ok, latency, value and time."},
	{"candidate", "candidate.FIELD", "stream", "In the condition of a filter: what was found. Every one has id and name."},
	{"probe", "probe.TYPE.NAME", "block", "A probe; one of for_each is probe.TYPE.NAME[\"KEY\"], as of all blocks."},
	{"target", "target.TYPE.NAME", "block", "A target."},
	{"steady_state", "steady_state.NAME", "block", "A steady state."},
	{"experiment", "experiment.NAME", "block", "An experiment."},
	{"guard", "guard.NAME", "block", "A guard."},
	{"fault", "fault.TYPE.NAME", "block", "A fault of the same experiment."},
	{"action", "action.TYPE.NAME", "block", "An action of the same experiment."},
	{"prompt", "prompt.NAME", "block", "A prompt of the same experiment."},
}

func rootsOf(kind string) []string {
	var all []string
	for _, r := range references {
		if r.Kind == kind {
			all = append(all, r.Root)
		}
	}
	return all
}

// ValueType is a type of values.
type ValueType struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// ValueTypes are those that arguments have.
func ValueTypes() []ValueType {
	return []ValueType{
		{"string", "A text in quotes."},
		{"number", "A number; its unit stands with the argument. A ratio is from 0 to 1, and what ends in percent from 0 to 100."},
		{"bool", "true or false."},
		{"duration", "A text with a number and a unit: " + strings.Join([]string{`"300ms"`, `"5s"`, `"2m"`, `"1h30m"`}, ", ") + "."},
		{"size", `A number of bytes as a text with its unit: "64MiB" by powers of 1024, "500MB" by powers of 1000.`},
		{"rate", `A rate as a text with its unit, in bits or bytes a second: "10mbit", "1MB/s", "64KiB/s".`},
		{"amount", `A size, or a share of a whole: "512MB", "20%".`},
		{"list(…)", "Values of a type in brackets: [\"a\", \"b\"]."},
		{"map(…)", "Values of a type by name: { a = 1, b = 2 }."},
		{"reference", "The name of a block, without quotes."},
		{"list(reference)", "Names of blocks: [steady_state.checkout]."},
		{"condition", "An expression that is true or false."},
		{"type", "The type of a variable, without quotes."},
		{"any", "Any value."},
	}
}
