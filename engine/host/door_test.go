package host

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/faultline-go/faultline/engine/host/output"
	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire"
)

const hostile = "a\x1b[31mred\u009b1m\u202eder\u2066\u200f\u2028\x07\r\x00\U000e0041z"

const visible = `a\x1b[31mred\u009b1m\u202eder\u2066\u200f\u2028\x07\x0d\x00\U000e0041z`

// answers lists the messages that a plugin can send, also those that are yet to come.
func answers(t *testing.T) []protoreflect.MessageDescriptor {
	t.Helper()
	var out []protoreflect.MessageDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			if !strings.HasPrefix(string(s.FullName()), "faultline.") {
				continue
			}
			for j := range s.Methods().Len() {
				out = append(out, s.Methods().Get(j).Output())
			}
		}
		return true
	})
	if len(out) < 10 {
		t.Fatalf("%d kinds of answers: has the contract another name?", len(out))
	}
	return out
}

// fill puts a hostile text into every field that can take one.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		value := func() (protoreflect.Value, bool) {
			switch f.Kind() {
			case protoreflect.StringKind:
				return protoreflect.ValueOfString(hostile), true
			case protoreflect.BytesKind:
				raw, _ := json.Marshal(map[string]any{"id": hostile + "\n", "name": hostile, hostile: []any{hostile, 12345678901234567890.0}})
				return protoreflect.ValueOfBytes(raw), true
			}
			return protoreflect.Value{}, false
		}
		switch {
		case f.IsMap():
			if f.MapKey().Kind() == protoreflect.StringKind {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString(hostile).MapKey(), m.NewField(f).Map().NewValue())
			}
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			if depth < 3 {
				x := m.Mutable(f).List().NewElement()
				fill(x.Message(), depth+1)
				m.Mutable(f).List().Append(x)
			}
		case f.IsList():
			if v, ok := value(); ok {
				m.Mutable(f).List().Append(v)
			}
		case f.Kind() == protoreflect.MessageKind:
			if depth < 3 {
				fill(m.Mutable(f).Message(), depth+1)
			}
		default:
			if v, ok := value(); ok {
				m.Set(f, v)
			}
		}
	}
}

// texts lists every text of a message but those that are the plugin's own.
func texts(m protoreflect.Message) []string {
	var out []string
	value := func(f protoreflect.FieldDescriptor, v protoreflect.Value) {
		switch f.Kind() {
		case protoreflect.StringKind:
			out = append(out, v.String())
		case protoreflect.BytesKind:
			if name := string(f.Name()); strings.HasSuffix(name, "_json") && name != "undo_json" {
				out = append(out, string(v.Bytes()))
			}
		case protoreflect.MessageKind:
			out = append(out, texts(v.Message())...)
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				out = append(out, k.String())
				value(f.MapValue(), v)
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				value(f, v.List().Get(i))
			}
		default:
			value(f, v)
		}
		return true
	})
	return out
}

// harm finds what a terminal would act on, also where JSON writes it as an escape.
func harm(text string) bool {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		var all []string
		var walk func(any)
		walk = func(v any) {
			switch v := v.(type) {
			case string:
				all = append(all, v)
			case []any:
				for _, x := range v {
					walk(x)
				}
			case map[string]any:
				for k, x := range v {
					all = append(all, k)
					walk(x)
				}
			}
		}
		walk(v)
		text = strings.Join(all, "")
	}
	return output.Printable(text, true) != text
}

func TestNothingHarmfulComesInByTheDoor(t *testing.T) {
	for _, d := range answers(t) {
		m := dynamicpb.NewMessage(d)
		fill(m, 0)
		before := texts(m)
		if err := cleanMessage(m); err != nil {
			t.Errorf("%s: %v", d.Name(), err)
			continue
		}
		for _, text := range texts(m) {
			if harm(text) {
				t.Errorf("%s: %q has come in", d.Name(), text)
			}
		}
		if len(before) > 0 && !slices.ContainsFunc(before, harm) {
			t.Errorf("%s: there was nothing to clean: the test proves nothing", d.Name())
		}
	}
}

func TestUndoRecordsStayAsTheyAre(t *testing.T) {
	for _, d := range answers(t) {
		f := d.Fields().ByName("undo_json")
		if f == nil {
			continue
		}
		m := dynamicpb.NewMessage(d)
		fill(m, 0)
		before := string(m.Get(f).Bytes())
		if err := cleanMessage(m); err != nil || string(m.Get(f).Bytes()) != before {
			t.Errorf("%s: the undo record has become %q, %v", d.Name(), m.Get(f).Bytes(), err)
		}
		return
	}
	t.Error("no answer has an undo record")
}

func TestCandidatesKeepWhatTheyAre(t *testing.T) {
	in := schema.Candidate{ID: "a\nb", Name: "a\tb", Kind: "lamp", Attributes: map[string]any{"labels": map[string]any{"text": "two\nlines ß"}, "size": 9007199254740993}}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = cleanJSON(raw, true); err != nil {
		t.Fatal(err)
	}
	if text := string(raw); !strings.Contains(text, `"id":"a\\x0ab"`) || !strings.Contains(text, `"name":"a\\x09b"`) ||
		!strings.Contains(text, `two\nlines ß`) || !strings.Contains(text, "9007199254740993") {
		t.Errorf("cleaned: %s", raw)
	}
}

func TestErrorsAreCleaned(t *testing.T) {
	s := status.New(codes.InvalidArgument, "it is "+hostile+"\nHELD – all is well\n  and so on")
	err := cleanError(s.Err())
	if got := status.Convert(err); got.Code() != codes.InvalidArgument || got.Message() != "it is "+visible+"\n  HELD – all is well\n  and so on" {
		t.Errorf("%v", err)
	}
}

// A plugin that never ends its answer costs a bounded amount of memory.
func TestTheAnswersToOneCallAreBounded(t *testing.T) {
	p := start(t, playing(t, "endless"), wire.Configure{})
	_, err := p.Discover(t.Context(), "testfile_endless", json.RawMessage(`{}`))
	if err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("discovered: %v", err)
	}
	if _, err := p.Act(t.Context(), "testfile_environment", []byte(`{}`)); err != nil {
		t.Errorf("the plugin is of no use any more: %v", err)
	}
	_, err = p.Act(t.Context(), "testfile_huge", []byte(`{}`))
	if err == nil {
		t.Error("a message beyond the limit has come in")
	}
	if _, err := p.Act(t.Context(), "testfile_environment", []byte(`{}`)); err != nil {
		t.Errorf("the plugin is of no use any more: %v", err)
	}
	big, err := json.Marshal(map[string]string{"x": strings.Repeat("x", wire.MaxMessage)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Act(t.Context(), "testfile_environment", big); err == nil {
		t.Error("a message beyond the limit was sent")
	}
}
