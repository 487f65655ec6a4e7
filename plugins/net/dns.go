//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"

	"github.com/faultline-go/faultline/plugins/net/hold"
	"github.com/faultline-go/faultline/plugins/net/impair"
	"github.com/faultline-go/faultline/sdk"
)

type namesConfig struct {
	Names     []string `hcl:"names" example:"[\"db.internal\"]" doc:"Names that are answered wrongly: \"db.internal\", \"*.example.com\", or \"*\" for all. All other questions get their true answers."`
	Answer    string   `hcl:"answer" enum:"nxdomain|servfail|timeout|wrong" doc:"That there is no such name, that the server has failed, no answer at all, or the addresses given."`
	Addresses []string `hcl:"addresses,optional" doc:"With answer = \"wrong\": the addresses that are answered."`
	Percent   float64  `hcl:"percent,optional" default:"100" min:"0" max:"100" doc:"Share of the questions about these names that is answered wrongly, at random."`
}

// dnsPort is where name servers are asked.
const dnsPort = 53

func names() sdk.Fault[namesConfig, undo] {
	return kind[namesConfig]{
		typ: "net_dns",
		doc: "Answers a target's questions for names wrongly, or not at all. Questions over UDP and TCP to port 53 are led to a name server of ours " +
			"in the target's network; when that dies, they go to the true ones again. Names that a program has already looked up stay as they are.",
		usual: "out",
		check: namesConfig.check,
		chooses: func(c namesConfig) (choice, string, float64) {
			return choice{Ports: []string{fmt.Sprint(dnsPort)}, PortsOf: string(impair.Peer)}, "", 0
		},
		acts: func(c namesConfig, _ impair.Abilities) (deed, error) {
			lie := hold.Lie{Answer: c.Answer, Percent: c.Percent}
			for _, name := range c.Names {
				lie.Names = append(lie.Names, strings.ToLower(strings.TrimSuffix(name, ".")))
			}
			for _, text := range c.Addresses {
				a, err := netip.ParseAddr(text)
				if err != nil {
					return deed{}, err
				}
				lie.Addresses = append(lie.Addresses, a)
			}
			// Questions are led to the port that the name server will have.
			return deed{Action: impair.Action{Redirect: dnsPort}, lie: &lie, how: "a name server that answers " + c.Answer}, nil
		},
	}.fault()
}

func (c namesConfig) check() error {
	if len(c.Names) == 0 {
		return errors.New("names: say which; \"*\" stands for all")
	}
	for _, name := range c.Names {
		if _, err := path.Match(name, ""); err != nil || name == "" || strings.ContainsAny(name, " /") {
			return fmt.Errorf("names: %q is no name and no pattern of names", name)
		}
	}
	for _, text := range c.Addresses {
		if _, err := netip.ParseAddr(text); err != nil {
			return fmt.Errorf("addresses: %q is no address", text)
		}
	}
	switch {
	case c.Answer == "wrong" && len(c.Addresses) == 0:
		return errors.New("answer = \"wrong\" needs the addresses that are answered")
	case c.Answer != "wrong" && len(c.Addresses) > 0:
		return errors.New("addresses belong to answer = \"wrong\"")
	case c.Percent == 0:
		return errors.New("percent: none of the questions would be answered wrongly")
	}
	return nil
}
