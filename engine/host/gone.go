package host

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// endTime is how long a lost connection waits for the end of its process to be known.
const endTime = time.Second

// mourner makes the loss of a connection say how the process ended, which explains more
// than an EOF: "ended by itself (signal: killed)". A call then always fails with
// codes.Unavailable, whether the process or, noticing its end, this side closed the
// connection first.
type mourner struct {
	done <-chan struct{} // closed when the process has ended, and that is known
	how  func() string   // after done: how it ended, "" when not by itself
}

func (m mourner) options() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithUnaryInterceptor(m.unary), grpc.WithStreamInterceptor(m.stream)}
}

func (m mourner) unary(ctx context.Context, method string, q, reply any, c *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
	return m.explain(ctx, call(ctx, method, q, reply, c, o...))
}

func (m mourner) stream(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, d, c, method, o...)
	if err != nil {
		return nil, m.explain(ctx, err)
	}
	return mourned{s, m, ctx}, nil
}

// mourned is a stream whose errors are explained. Sending gives io.EOF when the
// connection is lost; receiving says why.
type mourned struct {
	grpc.ClientStream
	mourner
	ctx context.Context // the caller's: gRPC ends that of the stream with the stream
}

func (s mourned) RecvMsg(m any) error { return s.explain(s.ctx, s.ClientStream.RecvMsg(m)) }

func (m mourner) explain(ctx context.Context, err error) error {
	switch code := status.Code(err); {
	case code == codes.Unavailable:
	case code == codes.Canceled && ctx.Err() == nil: // the connection is closed, not the call given up
	default:
		return err
	}
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-m.done:
	case <-timer.C:
		return err
	}
	if text := m.how(); text != "" {
		return status.Error(codes.Unavailable, text)
	}
	return err
}

// ownEnd says how the process ended by itself.
func (p *process) ownEnd() string {
	state, end := p.exit()
	if end != byItself {
		return ""
	}
	text := fmt.Sprintf("%s ended by itself, %s", p.binary.name, state)
	if said := p.printed.Words().Cause(); said != "" {
		text += ": " + said
	}
	return text
}
