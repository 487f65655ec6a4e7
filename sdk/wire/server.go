package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/faultline-go/faultline/sdk/schema"
	"github.com/faultline-go/faultline/sdk/wire/internal/pb"
)

// Register serves a plugin on a gRPC server.
func Register(s *grpc.Server, impl Server) {
	pb.RegisterPluginServer(s, &server{impl: impl})
}

// server converts between the wire and a Server.
type server struct {
	pb.UnimplementedPluginServer
	impl Server
}

func (s *server) Describe(ctx context.Context, _ *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	d, err := s.impl.Describe(ctx)
	if err != nil {
		return nil, answer(err)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode description: %w", err)
	}
	return &pb.DescribeResponse{DescriptionJson: raw}, nil
}

func (s *server) Configure(ctx context.Context, q *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	err := s.impl.Configure(ctx, Configure{Settings: q.SettingsJson, Run: q.Run, RunDir: q.RunDir})
	var why *Invalid
	if q.TakesProblems && errors.As(err, &why) && len(why.Problems) > 0 {
		return &pb.ConfigureResponse{Problems: problemsTo(0, why.Problems)}, nil
	}
	return &pb.ConfigureResponse{}, answer(err)
}

// candidatesPerMessage keeps a message far below MaxMessage.
const candidatesPerMessage = 256

func (s *server) Discover(q *pb.DiscoverRequest, out grpc.ServerStreamingServer[pb.Candidates]) error {
	all, err := s.impl.Discover(out.Context(), q.Type, q.MatchJson)
	if err != nil {
		return answer(err)
	}
	m := &pb.Candidates{}
	for i, c := range all {
		raw, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode candidate %s: %w", c.Name, err)
		}
		m.CandidateJson = append(m.CandidateJson, raw)
		if len(m.CandidateJson) == candidatesPerMessage || i == len(all)-1 {
			if err := out.Send(m); err != nil {
				return err
			}
			m = &pb.Candidates{}
		}
	}
	return nil
}

func (s *server) Prepare(q *pb.PrepareRequest, out grpc.ServerStreamingServer[pb.PrepareResult]) error {
	p := Prepare{Type: q.Type, Config: q.ConfigJson, AcceptIrreversible: q.AcceptIrreversible}
	for _, raw := range q.CandidateJson {
		var c schema.Candidate
		if err := json.Unmarshal(raw, &c); err != nil {
			return fmt.Errorf("decode a candidate: %w", err)
		}
		p.Targets = append(p.Targets, c)
	}
	return answer(s.impl.Prepare(out.Context(), p, func(r Prepared) error {
		return out.Send(&pb.PrepareResult{Target: r.Target, Error: text(r.Err), UndoJson: r.Undo, Incarnation: text(r.Incarnation), Resources: texts(r.Resources), Gone: r.Gone, Problems: problemsTo(0, r.Problems)})
	}))
}

func (s *server) Inject(q *pb.InjectRequest, out grpc.ServerStreamingServer[pb.InjectResult]) error {
	req := Inject{
		Lease: leaseFrom(q.Lease), Type: q.Type, Config: q.ConfigJson, Targets: undosFrom(q.Targets),
		TTL: time.Duration(q.LeaseMs) * time.Millisecond, HardEnd: time.Duration(q.HardEndMs) * time.Millisecond,
	}
	return answer(s.impl.Inject(out.Context(), req, func(r Injected) error {
		return out.Send(&pb.InjectResult{Target: r.Target, Error: text(r.Err), Gone: r.Gone, AtUnixNs: timeTo(r.At)})
	}))
}

func (s *server) Observe(q *pb.ObserveRequest, out grpc.ServerStreamingServer[pb.ObserveResult]) error {
	req := Observe{Type: q.Type, Config: q.ConfigJson, Targets: undosFrom(q.Targets)}
	return answer(s.impl.Observe(out.Context(), req, func(r Observed) error {
		return out.Send(&pb.ObserveResult{Target: r.Target, Error: text(r.Err), Bites: r.Bites, Ended: r.Ended, Detail: text(r.Detail), Measures: r.Measures, AtUnixNs: timeTo(r.At)})
	}))
}

func (s *server) Revert(q *pb.RevertRequest, out grpc.ServerStreamingServer[pb.RevertResult]) error {
	req := Revert{Lease: leaseFrom(q.Lease), Type: q.Type, By: q.By, Targets: undosFrom(q.Targets), Again: q.Again}
	return answer(s.impl.Revert(out.Context(), req, func(r Reverted) error {
		return out.Send(&pb.RevertResult{Target: r.Target, Outcome: r.Outcome, By: r.By, Proof: text(r.Proof), Residue: r.Residue, Error: text(r.Err), AtUnixNs: timeTo(r.At)})
	}))
}

func (s *server) Scan(q *pb.ScanRequest, out grpc.ServerStreamingServer[pb.Finding]) error {
	var known []Known
	for _, k := range q.Known {
		known = append(known, Known{Type: k.Type, Fault: k.Fault, Targets: undosFrom(k.Targets)})
	}
	return answer(s.impl.Scan(out.Context(), known, func(f Finding) error {
		return out.Send(&pb.Finding{Fault: text(f.Fault), Target: text(f.Target), Kind: text(f.Kind), Detail: text(f.Detail)})
	}))
}

func (s *server) Session(stream grpc.BidiStreamingServer[pb.Renewal, pb.LeaseEvent]) error {
	recv := func() (Renewal, error) {
		m, err := stream.Recv()
		if err != nil {
			return Renewal{}, err
		}
		r := Renewal{Sequence: m.Sequence}
		for _, l := range m.Leases {
			r.Leases = append(r.Leases, leaseFrom(l))
		}
		return r, nil
	}
	send := func(e LeaseEvent) error {
		return stream.Send(&pb.LeaseEvent{Sequence: e.Sequence, Lost: e.Lost})
	}
	return answer(s.impl.Session(stream.Context(), recv, send))
}

func (s *server) Probe(q *pb.ProbeRequest, out grpc.ServerStreamingServer[pb.SampleBatch]) error {
	req := Probe{
		Type: q.Type, Config: q.ConfigJson, Interval: time.Duration(q.IntervalNs),
		Timeout: time.Duration(q.TimeoutNs), Start: time.Unix(0, q.StartUnixNs),
	}
	return answer(s.impl.Probe(out.Context(), req, func(b Batch) error {
		m := samplesTo(b.Samples)
		m.CompleteUnixNs = timeTo(b.Complete)
		return out.Send(m)
	}))
}

func (s *server) Act(ctx context.Context, q *pb.ActRequest) (*pb.ActResponse, error) {
	detail, err := s.impl.Act(ctx, q.Type, q.ConfigJson)
	r := &pb.ActResponse{Detail: text(detail)}
	if err != nil {
		r.Error = text(err.Error())
	}
	return r, nil
}
