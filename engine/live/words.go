package live

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/faultline-go/faultline/engine/journal"
)

// words says an event in one line; empty for those that need none. names are those of
// targets, by identity.
func words(e journal.Event, names map[string]string) string {
	switch d := e.Data.(type) {
	case *journal.ExperimentStarted:
		return "experiment " + d.Experiment
	case *journal.PhaseStarted:
		return "  " + string(d.Phase)
	case *journal.ExperimentEnded:
		return fmt.Sprintf("experiment %s: %s", d.Experiment, spaced(string(d.Ending))) + because(d.Reason)
	case *journal.FaultIntent:
		return fmt.Sprintf("  inject %s on %s", d.Fault, strings.Join(targetNames(d), ", "))
	case *journal.FaultObserved:
		var parts []string
		for _, x := range d.Effects {
			parts = append(parts, names[x.Target]+" "+effect(x))
		}
		return "    " + strings.Join(parts, "; ")
	case *journal.FaultFailed:
		return "    failed: " + d.Error
	case *journal.FaultAmbiguous:
		return "    no answer: " + d.Error
	case *journal.FaultReverted:
		var parts []string
		for _, x := range d.Targets {
			parts = append(parts, fmt.Sprintf("%s %s by %s", names[x.ID], spaced(string(x.Outcome)), x.By)+because(x.Error))
		}
		return "  put back: " + strings.Join(parts, "; ")
	case *journal.ActionDone:
		if d.Error != "" {
			return fmt.Sprintf("  action %s failed: %s", d.Action, d.Error)
		}
		return "  action " + d.Action + ": " + d.Detail
	case *journal.PromptAsked:
		return fmt.Sprintf("  prompt %s: %s", d.Prompt, d.Question)
	case *journal.PromptAnswered:
		if d.Answer == "" {
			return fmt.Sprintf("  prompt %s: no answer, %s", d.Prompt, d.By)
		}
		return fmt.Sprintf("  prompt %s: %s (%s)", d.Prompt, d.Answer, d.By)
	case *journal.Mark:
		return fmt.Sprintf("  %s%s (%s)", d.What, because(d.Text), d.By)
	case *journal.EarlyStop:
		return fmt.Sprintf("  stop early: %s is broken: %s", d.Objective, d.Rule)
	case *journal.GuardTripped:
		return fmt.Sprintf("  guard %s tripped: %s", d.Guard, d.Reason)
	case *journal.Aborted:
		return "abort: " + d.Reason
	case *journal.Warning:
		return "warning: " + d.Text
	case *journal.Residue:
		if len(d.Findings) > 0 {
			return fmt.Sprintf("residue: %d things of ours are still there", len(d.Findings))
		}
	}
	return ""
}

func spaced(s string) string { return strings.ReplaceAll(s, "_", " ") }

// because is a reason behind what it explains.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func targetNames(d *journal.FaultIntent) []string {
	var names []string
	for _, t := range d.Targets {
		names = append(names, t.Name)
	}
	return names
}

// effect says what was seen of a fault at a target.
func effect(x journal.Effect) string {
	switch {
	case x.Error != "":
		return "cannot be measured: " + x.Error
	case x.Ended:
		return "came back by itself" + because(x.Detail)
	case x.Bites:
		return "is hit" + because(x.Detail)
	default:
		return "is not hit" + because(x.Detail)
	}
}

var newline = regexp.MustCompile(`\s*\n\s*`)

// printable replaces what would move the cursor or worse: names and details come
// from plugins, and from what they look at.
func printable(s string) string {
	s = newline.ReplaceAllString(s, " ") // an error may have several lines
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
