package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/faultline-go/faultline/sdk/wire/internal/pb"
)

// Call is what may be known of a call: what it was about and how it went, but nothing of
// settings, configurations and undo records.
type Call struct {
	Method  string // "Inject"
	Type    string // of the fault, probe, action or target; may be empty
	Fault   string // the lease's id; may be empty
	Targets int

	Begins   bool // a stream that lasts was opened; it is told of once more at its end
	Took     time.Duration
	Sent     int // bytes
	Received int
	Answers  int // messages received
	Err      error
}

// conn is a connection whose calls are watched and named.
type conn struct {
	grpc.ClientConnInterface
	watch func(Call) // may be nil
}

// grease is a field that no message has: whoever reads requests has to skip what it does
// not know, because a later engine may know more. Every request carries it, so that a
// plugin that does not is found out before that engine is written.
var grease = protowire.AppendVarint(protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.VarintType), 1)

func greased(m any) proto.Message {
	p := m.(proto.Message)
	p.ProtoReflect().SetUnknown(grease)
	return p
}

func (c conn) Invoke(ctx context.Context, method string, q, reply any, o ...grpc.CallOption) error {
	began := time.Now()
	err := named(method, c.ClientConnInterface.Invoke(ctx, method, greased(q), reply, o...))
	if c.watch != nil {
		x := about(method, q)
		x.Took, x.Received, x.Answers, x.Err = time.Since(began), proto.Size(reply.(proto.Message)), 1, plain(err)
		if err != nil {
			x.Received, x.Answers = 0, 0
		}
		c.watch(x)
	}
	return err
}

func (c conn) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, o ...grpc.CallOption) (grpc.ClientStream, error) {
	s := &stream{method: method, watch: c.watch, call: Call{Method: path.Base(method)}, began: time.Now(), lasts: d.ClientStreams}
	inner, err := c.ClientConnInterface.NewStream(ctx, d, method, o...)
	if err = named(method, err); err != nil {
		s.end(err)
		return nil, err
	}
	s.ClientStream = inner
	return s, nil
}

// stream is a call whose answer comes in pieces.
type stream struct {
	grpc.ClientStream
	method string
	watch  func(Call)
	began  time.Time

	mu    sync.Mutex // a session sends and receives at once
	lasts bool       // its opening is told of, too
	ended bool
	call  Call
}

func (s *stream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(greased(m))
	if s.watch != nil {
		x := about(s.method, m)
		s.mu.Lock()
		first := s.call.Sent == 0
		s.call.Type, s.call.Fault, s.call.Targets = x.Type, x.Fault, x.Targets
		s.call.Sent += x.Sent
		_, probe := m.(*pb.ProbeRequest)
		opening := s.call
		s.mu.Unlock()
		if first && (s.lasts || probe) {
			opening.Begins = true
			s.watch(opening)
		}
	}
	return err
}

func (s *stream) RecvMsg(m any) error {
	err := named(s.method, s.ClientStream.RecvMsg(m))
	if err != nil {
		s.end(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.call.Answers++
	s.call.Received += proto.Size(m.(proto.Message))
	return nil
}

// end tells of the call, once.
func (s *stream) end(err error) {
	if s.watch == nil {
		return
	}
	s.mu.Lock()
	ended := s.ended
	s.ended = true
	s.call.Took = time.Since(s.began)
	if !errors.Is(err, io.EOF) {
		s.call.Err = plain(err)
	}
	x := s.call
	s.mu.Unlock()
	if !ended {
		s.watch(x)
	}
}

// about says what a request is about.
func about(method string, m any) Call {
	x := Call{Method: path.Base(method), Sent: proto.Size(m.(proto.Message))}
	if q, ok := m.(interface{ GetType() string }); ok {
		x.Type = q.GetType()
	}
	if q, ok := m.(interface{ GetLease() *pb.Lease }); ok {
		x.Fault = q.GetLease().GetFault()
	}
	switch q := m.(type) {
	case interface{ GetTargets() []*pb.Undo }:
		x.Targets = len(q.GetTargets())
	case *pb.PrepareRequest:
		x.Targets = len(q.CandidateJson)
	}
	return x
}

// named says which call a plugin does not have. It is of the same protocol then, but
// was made when the call did not exist.
func named(method string, err error) error {
	if status.Code(err) != codes.Unimplemented {
		return err
	}
	return status.Error(codes.Unimplemented,
		fmt.Sprintf("the plugin does not know the call %s: it was made for an older faultline; upgrade the plugin", path.Base(method)))
}
