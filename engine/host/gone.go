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

// unary and stream make the loss of a connection say how the process ended, which
// explains more than an EOF: "ended by itself (signal: killed)".
func (p *process) unary(ctx context.Context, method string, q, reply any, c *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
	return p.explain(call(ctx, method, q, reply, c, o...))
}

func (p *process) stream(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, d, c, method, o...)
	if err != nil {
		return nil, p.explain(err)
	}
	return explained{s, p}, nil
}

// explained is a stream whose errors are explained. Sending gives io.EOF when the
// connection is lost; receiving says why.
type explained struct {
	grpc.ClientStream
	process *process
}

func (s explained) RecvMsg(m any) error { return s.process.explain(s.ClientStream.RecvMsg(m)) }

func (p *process) explain(err error) error {
	if status.Code(err) != codes.Unavailable {
		return err
	}
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		return err
	}
	state, end := p.exit()
	if end != byItself {
		return err
	}
	text := fmt.Sprintf("%s ended by itself, %s", p.binary.name, state)
	if said := p.printed.Words().Cause(); said != "" {
		text += ": " + said
	}
	return status.Error(codes.Unavailable, text)
}
