package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/faultline-go/faultline/sdk/wire/internal/pb"
)

// Problem is what a plugin has against one argument of a configuration.
type Problem struct {
	Path string // "restart.command[1]"; empty: the configuration as a whole
	Text string // what is wrong, and what to write instead
}

// Configuration is one of those that a plugin is to look at before anything runs.
type Configuration struct {
	Kind   string // fault, probe, action, target; settings
	Type   string // empty for settings
	Config json.RawMessage
}

// Validator is implemented by a Server that can look at configurations without running
// anything. The result has an entry, which may be empty, for each of them.
type Validator interface {
	Validate(context.Context, []Configuration) ([][]Problem, error)
}

// Invalid is an error that says which arguments it is about.
type Invalid struct {
	Text     string
	Problems []Problem
}

func (e *Invalid) Error() string { return e.Text }

// Refused is the error of problems: of one at least.
func Refused(all []Problem) *Invalid {
	texts := make([]string, len(all))
	for i, p := range all {
		if texts[i] = p.Text; p.Path != "" {
			texts[i] = p.Path + ": " + p.Text
		}
	}
	return &Invalid{Text: strings.Join(texts, "; "), Problems: all}
}

// validateBytes bounds the configurations of one call, far below MaxMessage.
const validateBytes = MaxMessage / 8

// Validate asks what the plugin has against configurations. The result has an entry for each of
// them; it is nil when the plugin does not look at configurations beforehand.
func (c *Client) Validate(ctx context.Context, all []Configuration) ([][]Problem, error) {
	out := make([][]Problem, len(all))
	for from := 0; from < len(all); {
		q := &pb.ValidateRequest{}
		to := from
		for size := 0; to < len(all) && (to == from || size+len(all[to].Config) < validateBytes); to++ {
			x := all[to]
			size += len(x.Config) + len(x.Type)
			q.Configurations = append(q.Configurations, &pb.Configuration{Kind: x.Kind, Type: x.Type, ConfigJson: x.Config})
		}
		r, err := c.rpc.Validate(ctx, q)
		if status.Code(err) == codes.Unimplemented {
			return nil, nil
		}
		if err != nil {
			return nil, plain(err)
		}
		for _, p := range r.Problems {
			i := from + int(p.Configuration)
			if p.Configuration < 0 || i >= to {
				return nil, fmt.Errorf("the plugin has something against configuration %d, and was asked about %d", p.Configuration, to-from)
			}
			out[i] = append(out[i], Problem{Path: p.Path, Text: p.Text})
		}
		from = to
	}
	return out, nil
}

func (s *server) Validate(ctx context.Context, q *pb.ValidateRequest) (*pb.ValidateResponse, error) {
	v, ok := s.impl.(Validator)
	if !ok {
		return s.UnimplementedPluginServer.Validate(ctx, q)
	}
	all := make([]Configuration, len(q.Configurations))
	for i, x := range q.Configurations {
		all[i] = Configuration{Kind: x.Kind, Type: x.Type, Config: x.ConfigJson}
	}
	found, err := v.Validate(ctx, all)
	if err != nil {
		return nil, answer(err)
	}
	r := &pb.ValidateResponse{}
	for i, problems := range found {
		r.Problems = append(r.Problems, problemsTo(i, problems)...)
	}
	return r, nil
}

func problemsTo(configuration int, all []Problem) []*pb.Problem {
	var out []*pb.Problem
	for _, p := range all {
		out = append(out, &pb.Problem{Path: text(p.Path), Text: text(p.Text), Configuration: int32(configuration)})
	}
	return out
}

func problemsFrom(all []*pb.Problem) []Problem {
	var out []Problem
	for _, p := range all {
		out = append(out, Problem{Path: p.Path, Text: p.Text})
	}
	return out
}
