package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/faultline-go/faultline/engine/journal"
	"github.com/faultline-go/faultline/engine/report/schema/schematest"
)

// everyEvent has one of each type, as empty as it can be, or with something in every
// field.
func everyEvent(full bool) []journal.Event {
	var events []journal.Event
	for _, d := range []journal.Data{
		&journal.RunStarted{}, &journal.ExperimentStarted{}, &journal.PhaseStarted{Phase: journal.During}, &journal.ExperimentEnded{Ending: journal.Completed}, &journal.Samples{},
		&journal.FaultIntent{}, &journal.FaultActive{}, &journal.FaultFailed{}, &journal.FaultAmbiguous{}, &journal.FaultObserved{},
		&journal.FaultReverted{}, &journal.Residue{}, &journal.ActionDone{}, &journal.PromptAsked{}, &journal.PromptAnswered{},
		&journal.GuardTripped{}, &journal.EarlyStop{}, &journal.Aborted{}, &journal.Mark{}, &journal.Warning{}, &journal.Takeover{}, &journal.RunEnded{},
	} {
		if full {
			fill(reflect.ValueOf(d).Elem(), "")
		}
		events = append(events, journal.Event{Seq: int64(len(events) + 1), Time: day, Epoch: 1, Data: d})
	}
	return events
}

// fill puts something into every field; the field's name decides where only some texts
// make sense.
func fill(v reflect.Value, name string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(day))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{"internal":"<for the plugin>"}`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), name)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"b", `a "quoted" <key>`} {
			x := reflect.New(v.Type().Elem()).Elem()
			fill(x, name)
			v.SetMapIndex(reflect.ValueOf(key), x)
		}
	case reflect.String:
		words := map[string]string{"Status": "om", "Good": "1?", "Place": "day.hcl:3", "Phase": "during", "Expect": "recover", "Ending": "completed", "Outcome": "failed", "Trust": "locked"}
		v.SetString(first(words[name], "some "+name))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.25)
	default:
		v.SetInt(7)
	}
}

func each(events []journal.Event) iter.Seq2[journal.Event, error] {
	return func(yield func(journal.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestEventsFollowTheSchema(t *testing.T) {
	s := schematest.Strict(t, "events")
	all, _ := schematest.Load(t, "events")["allOf"].([]any)
	for _, full := range []bool{false, true} {
		events := everyEvent(full)
		if len(all) != len(events) {
			t.Errorf("the schema has %d types of events, there are %d", len(all), len(events))
		}
		lines := bytes.Split(bytes.TrimSuffix(write(t, func(w io.Writer) error { return Events(w, each(events)) }), []byte("\n")), []byte("\n"))
		if len(lines) != len(events) {
			t.Fatalf("%d events are %d lines", len(events), len(lines))
		}
		for i, line := range lines {
			schematest.Check(t, s, line)
			if !full {
				continue
			}
			for _, word := range []string{"internal", "undo", `"path"`, `"settings"`, `"plan"`} {
				inner := bytes.Contains(line, []byte(word)) && !(word == `"path"` && bytes.Contains(line, []byte("some Path"))) && !(word == "internal" && bytes.Contains(line, []byte(`"config"`)))
				if inner {
					t.Errorf("event %d has what is for recovery alone, %s: %s", i, word, line)
				}
			}
		}
	}
}

func TestEventsSchemaHasEveryField(t *testing.T) {
	c := comparison{t: t, schema: schematest.Load(t, "events"), consts: goConstants(t)}
	c.object("event", reflect.TypeFor[event](), withoutData(c.schema))
	types := map[string]string{} // the definition of a type of events
	for _, x := range c.schema["allOf"].([]any) {
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		var rule struct {
			If struct {
				Properties struct{ Type struct{ Const string } }
			}
			Then struct {
				Properties struct {
					Data struct {
						Ref string `json:"$ref"`
					}
				}
			}
		}
		if err := json.Unmarshal(b, &rule); err != nil {
			t.Fatal(err)
		}
		types[rule.If.Properties.Type.Const] = strings.TrimPrefix(rule.Then.Properties.Data.Ref, "#/$defs/")
	}
	for _, e := range everyEvent(false) {
		name := types[e.Data.EventType()]
		if name == "" {
			t.Errorf("the schema does not say what is in %s", e.Data.EventType())
			continue
		}
		d := c.defs()[name].(map[string]any)
		if text, _ := d["description"].(string); !strings.HasPrefix(text, e.Data.EventType()+": ") {
			t.Errorf("%s: the description is %q", name, text)
		}
		typ := reflect.TypeOf(public(e.Data))
		c.definition("data", name, typeOf(typ))
	}
	c.noMore()
}

func typeOf(typ reflect.Type) reflect.Type {
	if typ.Kind() == reflect.Pointer {
		return typ.Elem()
	}
	return typ
}

// withoutData is the event's own schema; what data has is in the definitions.
func withoutData(schema map[string]any) map[string]any {
	out := map[string]any{"required": schema["required"], "properties": map[string]any{}}
	for name, p := range schema["properties"].(map[string]any) {
		if name == "data" { // an any, which a RawMessage is, too
			p = map[string]any{"description": p.(map[string]any)["description"], "type": "integer"}
		}
		out["properties"].(map[string]any)[name] = p
	}
	return out
}

// A batch written by hand is what encoding/json would have written.
func TestSamplesAreWrittenAsJSON(t *testing.T) {
	v := 1e21
	full := &journal.Samples{}
	fill(reflect.ValueOf(full).Elem(), "")
	for _, s := range []*journal.Samples{
		{}, full,
		{Probe: "ü \x7f\n\\", Start: day.Add(time.Nanosecond), Offset: []int64{}, Latency: []int64{-1}, Value: []*float64{nil, &v}, Errors: map[string]int{"\u2028<&>": 0, "a": -3}},
		{Probe: "p", Start: day.In(time.FixedZone("x", 3600)), Offset: []int64{-1 << 62, 1 << 62}, Status: "of", Good: map[string]string{}, Errors: map[string]int{}},
	} {
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		if got := string(appendSamples(nil, s)); got+"\n" != want.String() {
			t.Errorf("got\n%s\nwant\n%s", got, want.String())
		}
	}
}

// What was read before something went wrong is written.
func TestEventsUpToAnError(t *testing.T) {
	var b bytes.Buffer
	err := Events(&b, func(yield func(journal.Event, error) bool) {
		_ = yield(everyEvent(true)[0], nil) && yield(journal.Event{}, journal.ErrDamaged)
	})
	if !errors.Is(err, journal.ErrDamaged) || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("%v after %q", err, b.String())
	}
	if err := Events(failing{}, each(everyEvent(true))); err == nil {
		t.Error("a full disk is no error")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left") }
