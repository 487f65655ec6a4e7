package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Redacted stands for a sensitive value, as in plans.
const Redacted = "(sensitive)"

// CanHide says whether a sensitive value is looked for: to replace a very short one
// would turn every text into noise, and it is not worth calling secret.
func CanHide(value string) bool { return len(value) >= 3 }

// ErrSecretUndo says that an undo record holds a sensitive value. It can neither be
// written down nor be changed: a fault could not be put back from another one.
var ErrSecretUndo = errors.New("the undo record would hold a sensitive value: the plugin should keep a reference to it instead")

// secrets are the values that no event may quote: an error of a plugin that was given
// a password may.
type secrets struct {
	forms    [][]byte // in which they can stand in JSON
	replacer *strings.Replacer
}

// Hide keeps values out of every event that is appended from now on: where a text
// quotes one, "(sensitive)" is written instead. An intent whose undo record has one is
// not written: see ErrSecretUndo.
func (w *Writer) Hide(values []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var pairs []string
	w.secrets = secrets{}
	for _, v := range values {
		if !CanHide(v) {
			continue
		}
		pairs = append(pairs, v, Redacted)
		w.secrets.forms = append(w.secrets.forms, quoted(v))
	}
	w.secrets.replacer = strings.NewReplacer(pairs...)
}

// quoted is a text as it stands between the quotes of a JSON string of ours.
func quoted(s string) []byte {
	raw, err := plainJSON(s)
	if err != nil {
		return []byte(s)
	}
	return raw[1 : len(raw)-1]
}

// plainJSON encodes without escaping what HTML needs.
func plainJSON(x any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(x)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func (s secrets) in(raw []byte) bool {
	for _, form := range s.forms {
		if bytes.Contains(raw, form) {
			return true
		}
	}
	return false
}

// hidden returns an event's data without the secrets; the data itself when it has none.
func (s secrets) hidden(data Data) (Data, error) {
	if len(s.forms) == 0 {
		return data, nil
	}
	if f, ok := data.(*FaultIntent); ok {
		for _, t := range f.Targets {
			// Undo records come as their plugin wrote them: compared as we would.
			var undo any
			if err := json.Unmarshal(t.Undo, &undo); err != nil {
				return nil, fmt.Errorf("undo record of %s: %w", t.Name, err)
			}
			if raw, err := plainJSON(undo); err != nil || s.in(raw) {
				return nil, fmt.Errorf("%s: %w", t.Name, errors.Join(err, ErrSecretUndo))
			}
		}
	}
	raw, err := plainJSON(data)
	if err != nil || !s.in(raw) {
		return data, nil // an error comes up again where the line is made
	}
	var any any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&any); err != nil {
		return nil, err
	}
	if raw, err = plainJSON(s.replaced(any)); err != nil {
		return nil, err
	}
	out, err := newData(data.EventType())
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("hide sensitive values in event %s: %w", data.EventType(), err)
	}
	if x, ok := out.(*Samples); ok {
		errors := map[string]int{}
		for text, n := range x.Errors {
			errors[s.replacer.Replace(text)] += n
		}
		x.Errors = errors
	}
	return out, nil
}

// replaced works on texts alone: a number that happens to have the same digits is
// none, nor is the name of a member. The one map of ours whose keys are texts of
// plugins is that of Samples.
func (s secrets) replaced(x any) any {
	switch x := x.(type) {
	case string:
		return s.replacer.Replace(x)
	case []any:
		for i := range x {
			x[i] = s.replaced(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = s.replaced(x[k])
		}
	}
	return x
}
