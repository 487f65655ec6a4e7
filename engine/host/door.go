package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/faultline-go/faultline/engine/host/output"
	"github.com/faultline-go/faultline/sdk/wire"
)

// Everything that a plugin says comes in by this door, whatever its fields are called and
// wherever it will be shown: control characters, and those that turn the direction of
// writing around, are made visible. No renderer has to think of it, and none that is
// written later can forget. Undo records are left as they are: they are the plugin's, go
// back to it, and are shown to nobody.

// mostAnswers bounds what the answers to one call may take together, in bytes. Sessions
// and probes last as long as they last, and are not collected.
const mostAnswers = 4 * wire.MaxMessage

// door are the options of a connection to a plugin.
func door() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(enterUnary),
		grpc.WithChainStreamInterceptor(enterStream),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
	}
}

func enterUnary(ctx context.Context, method string, q, reply any, c *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
	if err := call(ctx, method, q, reply, c, o...); err != nil {
		return cleanError(err)
	}
	return cleanMessage(reply)
}

func enterStream(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, err := open(ctx, d, c, method, o...)
	if err != nil {
		cancel()
		return nil, cleanError(err)
	}
	e := &entering{ClientStream: s, cancel: cancel, endless: strings.HasSuffix(method, "/Session") || strings.HasSuffix(method, "/Probe")}
	return e, nil
}

// entering is a stream whose messages are cleaned and counted. One goroutine receives.
type entering struct {
	grpc.ClientStream
	cancel  context.CancelFunc
	endless bool
	took    int
}

// messageCost is what a message takes beside its content.
const messageCost = 128

func (e *entering) RecvMsg(m any) error {
	err := e.ClientStream.RecvMsg(m)
	if err == nil {
		err = cleanMessage(m)
	}
	if p, ok := m.(proto.Message); ok && err == nil && !e.endless {
		if e.took += messageCost + proto.Size(p); e.took > mostAnswers {
			err = status.Errorf(codes.ResourceExhausted, "the plugin answers one call with more than %d MiB", mostAnswers>>20)
		}
	}
	if err != nil {
		e.cancel() // nothing more is read of it
		return cleanError(err)
	}
	return nil
}

// cleanError cleans what a plugin says of a failure.
func cleanError(err error) error {
	s, ok := status.FromError(err)
	if !ok || s == nil {
		return err
	}
	p := s.Proto()
	if cleanMessage(p) != nil {
		return status.Error(s.Code(), "the plugin's error cannot be read")
	}
	return status.ErrorProto(p)
}

func cleanMessage(m any) error {
	p, ok := m.(proto.Message)
	if !ok {
		return nil
	}
	return clean(p.ProtoReflect())
}

// clean cleans every text of a message, at any depth.
func clean(m protoreflect.Message) (err error) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		return cleanPacked(packed)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch kind := f.Kind(); {
		case f.IsMap():
			err = cleanMap(f, v.Map())
		case kind != protoreflect.StringKind && kind != protoreflect.BytesKind && kind != protoreflect.MessageKind:
		case f.IsList():
			l := v.List()
			for i := 0; i < l.Len() && err == nil; i++ {
				var x protoreflect.Value
				if x, err = cleanValue(f, l.Get(i)); x.IsValid() {
					l.Set(i, x)
				}
			}
		default:
			var x protoreflect.Value
			if x, err = cleanValue(f, v); x.IsValid() {
				m.Set(f, x)
			}
		}
		return err == nil
	})
	return err
}

// cleanValue returns what a value becomes; none where it stays or was changed itself.
func cleanValue(f protoreflect.FieldDescriptor, v protoreflect.Value) (out protoreflect.Value, err error) {
	switch f.Kind() {
	case protoreflect.StringKind:
		s := output.Printable(v.String(), paragraphs[f.Name()])
		if errorTexts[f.Name()] {
			s = indented(s)
		}
		if s != v.String() {
			out = protoreflect.ValueOfString(s)
		}
	case protoreflect.BytesKind:
		if f.Name() == "undo_json" || !strings.HasSuffix(string(f.Name()), "_json") {
			break // the plugin's own, or no text
		}
		raw, err := cleanJSON(v.Bytes(), f.Name() == "candidate_json")
		if err != nil {
			return out, fmt.Errorf("read what the plugin says: %w", err)
		}
		return protoreflect.ValueOfBytes(raw), nil
	case protoreflect.MessageKind:
		err = clean(v.Message())
	}
	return out, err
}

// Errors may have several lines, and so may the values of samples; everything else that a
// plugin says is a line. Those of errors are indented, so that none of them can pass for
// a line of ours.
var (
	errorTexts = map[protoreflect.Name]bool{"error": true, "message": true}
	paragraphs = map[protoreflect.Name]bool{"error": true, "message": true, "strings": true}
)

var unindented = regexp.MustCompile(`\n([^ \t\n])`)

func indented(s string) string {
	if !strings.Contains(s, "\n") {
		return s
	}
	return unindented.ReplaceAllString(s, "\n  $1")
}

func cleanMap(f protoreflect.FieldDescriptor, m protoreflect.Map) (err error) {
	type entry struct {
		key   protoreflect.MapKey
		value protoreflect.Value
	}
	var all []entry
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		if x, e := cleanValue(f.MapValue(), v); e != nil {
			err = e
		} else if x.IsValid() {
			v = x
		}
		if f.MapKey().Kind() == protoreflect.StringKind {
			m.Clear(k)
			k = protoreflect.ValueOfString(output.Printable(k.String(), false)).MapKey()
		}
		all = append(all, entry{k, v})
		return err == nil
	})
	for _, e := range all {
		m.Set(e.key, e.value)
	}
	return err
}

// cleanPacked cleans a detail of an error. One of a type that nobody knows has nothing
// to say.
func cleanPacked(a *anypb.Any) error {
	m, err := a.UnmarshalNew()
	if err != nil {
		a.Reset()
		return nil
	}
	if err := clean(m.ProtoReflect()); err != nil {
		return err
	}
	return a.MarshalFrom(m)
}

// cleanJSON cleans the texts of a JSON value. The identity and the name of a candidate
// have one line; what else it has may have several, as descriptions do.
func cleanJSON(raw []byte, candidate bool) ([]byte, error) {
	if plainJSON(raw) {
		return raw, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	v = cleanTree(v, true)
	if fields, ok := v.(map[string]any); ok && candidate {
		for _, name := range []string{"id", "name"} {
			if s, ok := fields[name].(string); ok {
				fields[name] = output.Printable(s, false)
			}
		}
	}
	return json.Marshal(v)
}

// plainJSON says that a text is ASCII and escapes nothing: most are.
func plainJSON(raw []byte) bool {
	for _, b := range raw {
		if b >= 0x7f || b == '\\' {
			return false
		}
	}
	return true
}

func cleanTree(v any, lines bool) any {
	switch v := v.(type) {
	case string:
		return output.Printable(v, lines)
	case []any:
		for i := range v {
			v[i] = cleanTree(v[i], lines)
		}
	case map[string]any:
		for name, x := range v {
			delete(v, name)
			v[output.Printable(name, false)] = cleanTree(x, lines)
		}
	}
	return v
}
