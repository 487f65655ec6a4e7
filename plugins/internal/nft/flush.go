//go:build linux

package nft

import (
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// FlushChain removes all rules of a chain. The chain stays. Connections whose addresses it
// has changed go on as long as it is there and the kernel tracks connections at all, which
// it does only where some rule needs that (see Track).
func (b *Batch) FlushChain(t Table, chain string) {
	b.add(unix.NFT_MSG_DELRULE, 0, t.Family, text(unix.NFTA_RULE_TABLE, t.Name), text(unix.NFTA_RULE_CHAIN, chain))
}

// Track makes the kernel track connections for as long as the table is there: a chain of
// this name, where no packet comes by, has a rule that needs it.
func (b *Batch) Track(t Table, chain string) {
	b.AddChain(Chain{Table: t, Name: chain})
	b.AddRule(t, chain, &expr.Ct{Key: expr.CtKeySTATE, Register: 1})
}
