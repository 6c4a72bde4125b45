package imap

// fetchKind is a kind of data item of FETCH.
type fetchKind uint8

const (
	fetchFlags fetchKind = iota
	fetchUID
	fetchModSeq
	fetchSize
	fetchDate
	fetchSaved
	fetchEmailID
	fetchThreadID
	fetchEnvelope
	fetchBody
	fetchStructure
	fetchPreview
	fetchSection
	fetchBinary
	fetchBinarySize
)

// needs say where what a FETCH asks for is to be had.
type needs uint8

const (
	needMeta   needs = 1 << iota // the index's row of the message
	needItems                    // the structure of its text
	needHeader                   // the header of its text
	needPrefix                   // what stands before the text for this recipient
	needText                     // the text itself
)

// sectionKind is what of a message or part a section names (RFC 3501 section 6.4.5).
type sectionKind uint8

const (
	sectionWhole sectionKind = iota
	sectionHeader
	sectionFields    // HEADER.FIELDS
	sectionNotFields // HEADER.FIELDS.NOT
	sectionText
	sectionMIME
)

// fetchItem is a data item that was asked for.
type fetchItem struct {
	kind    fetchKind
	label   []byte // how a section is called in the answer, with a space behind it
	section sectionKind
	numbers []uint32 // of the part; none: the message
	fields  *fieldSet
	partial bool
	offset  int64 // of the octets that are wanted
	count   int64
}

// Caps on one FETCH. Together with that of a command's length they bound what a
// plan takes.
const (
	maxFetchItems  = 1000
	maxFetchFields = 1000 // names in all field lists
)

// fetchPlan is what a FETCH asks for. Its slices alias the command.
type fetchPlan struct {
	items []fetchItem
	needs needs
	seen  bool // an item sets \Seen

	modified     bool // CHANGEDSINCE was given
	changedSince uint64
	vanished     bool // with VANISHED (RFC 7162 section 3.2.6)

	paged    bool // PARTIAL was given (RFC 9394 section 3.4)
	pageFrom int64
	pageTo   int64

	labels  []byte   // memory of labels
	numbers []uint32 // memory of numbers
	fields  int      // names so far
	sets    []*fieldSet
	used    int // of sets
}

// reset readies p for another command.
func (p *fetchPlan) reset() {
	clear(p.items)
	*p = fetchPlan{items: p.items[:0], labels: p.labels[:0], numbers: p.numbers[:0], sets: p.sets}
}

// fieldSet returns an empty set of field names.
func (p *fetchPlan) fieldSet() *fieldSet {
	if p.used == len(p.sets) {
		p.sets = append(p.sets, new(fieldSet))
	}
	f := p.sets[p.used]
	p.used++
	f.reset()
	return f
}

// has reports that an item of the kind is asked for.
func (p *fetchPlan) has(kind fetchKind) bool {
	for i := range p.items {
		if p.items[i].kind == kind {
			return true
		}
	}
	return false
}

// add adds an item, unless it is there already: each is answered once, however often
// it is asked for.
func (p *fetchPlan) add(item fetchItem) bool {
	for i := range p.items {
		if p.items[i].kind == item.kind && p.items[i].count == item.count && string(p.items[i].label) == string(item.label) {
			return true
		}
	}
	if len(p.items) == maxFetchItems {
		return false
	}
	p.items = append(p.items, item)
	p.needs |= item.needs()
	return true
}

// needs says what the item is made of.
func (i *fetchItem) needs() needs {
	switch i.kind {
	case fetchFlags, fetchUID, fetchModSeq, fetchThreadID:
		return 0
	case fetchSize, fetchDate, fetchSaved, fetchEmailID:
		return needMeta
	case fetchEnvelope, fetchBody, fetchStructure, fetchPreview:
		return needMeta | needItems
	}
	switch {
	case len(i.numbers) > 0:
		return needMeta | needItems | needText
	case i.section == sectionWhole:
		return needText
	case i.section == sectionText:
		return needMeta | needItems | needText
	}
	return needMeta | needHeader | needPrefix
}
