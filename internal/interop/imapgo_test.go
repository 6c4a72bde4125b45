//go:build interop

package interop

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// go-imap's client, whose parser is nobody's of ours, reads all that is said of odd
// messages, and does what it has methods for.
func TestIMAPGoClient(t *testing.T) {
	s := newIMAPServer(t, 0, "goimap")
	news := make(chan uint32, 100)
	c, err := imapclient.DialTLS(s.imaps, &imapclient.Options{
		TLSConfig: &tls.Config{InsecureSkipVerify: true},
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				news <- *d.NumMessages
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Login("goimap@isp.example", popPassword).Wait())
	_, err = c.Enable(goimap.CapIMAP4rev2).Wait()
	must(err)
	must(c.Create("Gr\u00fc\u00dfe/below", nil).Wait())
	boxes, err := c.List("", "*", &goimap.ListOptions{ReturnSpecialUse: true, ReturnChildren: true, ReturnSubscribed: true, ReturnStatus: &goimap.StatusOptions{NumMessages: true, UIDNext: true, Size: true}}).Collect()
	must(err)
	if !slices.ContainsFunc(boxes, func(l *goimap.ListData) bool { return l.Mailbox == "Gr\u00fc\u00dfe/below" && l.Status != nil }) {
		t.Errorf("LIST: %+v", boxes)
	}
	if !slices.ContainsFunc(boxes, func(l *goimap.ListData) bool {
		return l.Mailbox == "Sent" && slices.Contains(l.Attrs, goimap.MailboxAttrSent)
	}) {
		t.Errorf("no folder for what was sent: %+v", boxes)
	}
	corpus := imapCorpus()
	for i, l := range corpus {
		a := c.Append("INBOX", int64(len(l.text)), &goimap.AppendOptions{Flags: []goimap.Flag{goimap.FlagSeen}, Time: time.Date(2020, 2, 10, 10, 0, 0, 0, time.UTC)})
		_, err := a.Write([]byte(l.text))
		must(err)
		must(a.Close())
		data, err := a.Wait()
		must(err)
		if data.UID != goimap.UID(i+1) {
			t.Errorf("APPENDUID %d, want %d", data.UID, i+1)
		}
	}
	selected, err := c.Select("INBOX", &goimap.SelectOptions{CondStore: true}).Wait()
	must(err)
	if int(selected.NumMessages) != len(corpus) || selected.HighestModSeq == 0 {
		t.Errorf("SELECT: %+v", selected)
	}
	all := goimap.SeqSet{}
	all.AddRange(1, 0)
	whole := &goimap.FetchItemBodySection{Peek: true}
	messages, err := c.Fetch(all, &goimap.FetchOptions{
		BodyStructure: &goimap.FetchItemBodyStructure{Extended: true}, Envelope: true, Flags: true, InternalDate: true, RFC822Size: true, UID: true, ModSeq: true,
		BodySection: []*goimap.FetchItemBodySection{whole},
	}).Collect()
	must(err)
	for i, m := range messages {
		if text := string(m.FindBodySection(whole)); text != corpus[i].text || int(m.RFC822Size) != len(text) {
			t.Errorf("%s: %d octets, RFC822.SIZE %d: %.100q", corpus[i].name, len(text), m.RFC822Size, text)
		}
		if m.Envelope == nil || m.BodyStructure == nil || m.ModSeq == 0 || m.InternalDate.Year() != 2020 {
			t.Errorf("%s: %+v", corpus[i].name, m)
			continue
		}
		// Every part that the structure names is there, with its size.
		m.BodyStructure.Walk(func(path []int, part goimap.BodyStructure) bool {
			single, ok := part.(*goimap.BodyStructureSinglePart)
			if !ok {
				return true
			}
			section := &goimap.FetchItemBodySection{Part: path, Peek: true}
			got, err := c.Fetch(goimap.UIDSetNum(m.UID), &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{section}}).Collect()
			must(err)
			if n := len(got[0].FindBodySection(section)); n != int(single.Size) {
				t.Errorf("%s, part %v: %d octets, its size is %d", corpus[i].name, path, n, single.Size)
			}
			return true
		})
	}
	if len(messages) != len(corpus) {
		t.Fatalf("%d messages, want %d", len(messages), len(corpus))
	}
	found, err := c.UIDSearch(&goimap.SearchCriteria{Header: []goimap.SearchCriteriaHeaderField{{Key: "Subject", Value: "nested"}}}, &goimap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
	must(err)
	if !slices.Equal(found.AllUIDs(), []goimap.UID{6}) || found.Count != 1 {
		t.Errorf("SEARCH: %+v", found)
	}
	order, err := c.UIDSort(&imapclient.SortOptions{SearchCriteria: &goimap.SearchCriteria{}, SortCriteria: []imapclient.SortCriterion{{Key: imapclient.SortKeySize, Reverse: true}}}).Wait()
	must(err)
	if len(order) != len(corpus) {
		t.Errorf("SORT: %v", order)
	}
	threads, err := c.UIDThread(&imapclient.ThreadOptions{Algorithm: goimap.ThreadReferences, SearchCriteria: &goimap.SearchCriteria{}}).Wait()
	must(err)
	if len(threads) == 0 {
		t.Errorf("THREAD: %v", threads)
	}
	moved, err := c.Move(goimap.UIDSetNum(2, 3), "Archive").Wait()
	must(err)
	if moved.UIDValidity == 0 {
		t.Errorf("MOVE: %+v", moved)
	}
	must(c.Store(goimap.UIDSetNum(4, 5), &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Flags: []goimap.Flag{goimap.FlagDeleted}, Silent: true}, nil).Close())
	must(c.UIDExpunge(goimap.UIDSetNum(4)).Close())
	status, err := c.Status("INBOX", &goimap.StatusOptions{NumMessages: true, NumDeleted: true, Size: true, HighestModSeq: true}).Wait()
	must(err)
	if int(*status.NumMessages) != len(corpus)-3 || *status.NumDeleted != 1 {
		t.Errorf("STATUS: %+v", status)
	}
	_, err = c.Namespace().Wait()
	must(err)
	_, err = c.GetQuotaRoot("INBOX").Wait()
	must(err)
	idle, err := c.Idle()
	must(err)
	s.deliver(0, "goimap")
	late := time.After(20 * time.Second)
	for told := 0; told != len(corpus)-2; {
		select {
		case n := <-news:
			told = int(n)
		case <-late:
			t.Fatal("IDLE tells of nothing")
		}
	}
	must(idle.Close())
	must(idle.Wait())
	must(c.Logout().Wait())
}
