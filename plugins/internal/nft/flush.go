//go:build linux

package nft

import "golang.org/x/sys/unix"

// FlushChain removes all rules of a chain. The chain stays: as long as one that changes
// addresses is there, connections whose addresses it has changed go on.
func (b *Batch) FlushChain(t Table, chain string) {
	b.add(unix.NFT_MSG_DELRULE, 0, t.Family, text(unix.NFTA_RULE_TABLE, t.Name), text(unix.NFTA_RULE_CHAIN, chain))
}
