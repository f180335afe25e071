// Verifies a log of Runledger with Go's own code for transparency logs and with none of ours: the
// signature of its checkpoint, every entry, every hash of its tiles, and the root over all.
//
//	go run . DIRECTORY VKEY [PROOF EVENT]
//
// DIRECTORY is a log in tiles, such as `tlog` in an audit pack; VKEY the key of the log, such as
// `runledger keys list` tells it. PROOF is a tlog-proof file and EVENT the bytes that it is about.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

func main() {
	if len(os.Args) != 3 && len(os.Args) != 5 {
		fail("usage: verify-with-go DIRECTORY VKEY [PROOF EVENT]")
	}
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	size, root := open(read(filepath.Join(os.Args[1], "checkpoint")), verifier)
	erased := verifyTiles(os.Args[1], size, root)
	fmt.Printf("intact: %d entries in %d bundles, root %v\n", size, (size+width-1)/width, root)
	if erased > 0 {
		fmt.Printf("of %d of them, tombstones are left\n", erased)
	}
	if len(os.Args) == 5 {
		verifyProof(read(os.Args[3]), read(os.Args[4]), verifier)
	}
}

// open says what a signed checkpoint says, if the key has signed it.
func open(signed []byte, verifier note.Verifier) (int64, tlog.Hash) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		fail("the note is no checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return size, root
}

// verifyTiles says how many entries were erased: of these, the hash is left, and a tombstone.
func verifyTiles(directory string, size int64, root tlog.Hash) (erased int64) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	for start := int64(0); start < size; start += width {
		count := size - start
		if count > width {
			count = width
		}
		bundle := read(filepath.Join(directory, path("tile/entries", start/width, count)))
		leaves := read(filepath.Join(directory, path("tile/0", start/width, count)))
		if int64(len(leaves)) != 32*count {
			fail(fmt.Sprintf("the tile with the hashes from position %d on has another length", start))
		}
		for place := int64(0); place < count; place++ {
			entry, rest := first(bundle, start+place)
			bundle = rest
			leaf := tlog.Hash(*(*[32]byte)(leaves[32*place : 32*place+32]))
			if tlog.RecordHash(entry) != leaf {
				if !bytes.Contains(entry, []byte(`"erased":{`)) {
					fail(fmt.Sprintf("the entry at position %d is not the one that the tree holds", start+place))
				}
				erased++
			}
			hashes, err := tlog.StoredHashesForRecordHash(start+place, leaf, reader)
			check(err)
			stored = append(stored, hashes...)
		}
		if len(bundle) != 0 {
			fail("a bundle holds more entries than it should")
		}
	}
	derived, err := tlog.TreeHash(size, reader)
	check(err)
	if derived != root {
		fail("the entries are not those of the checkpoint")
	}
	verifyLevels(directory, size, stored)
	return erased
}

// first takes the first entry of a bundle: two bytes say how long it is.
func first(bundle []byte, position int64) (entry, rest []byte) {
	if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
		fail(fmt.Sprintf("the entry at position %d is longer than what is left of its bundle", position))
	}
	end := 2 + int(binary.BigEndian.Uint16(bundle))
	return bundle[2:end], bundle[end:]
}

// verifyLevels compares the tiles above the lowest with what follows from the entries.
func verifyLevels(directory string, size int64, stored []tlog.Hash) {
	for level := 1; size>>(8*level) > 0; level++ {
		all := size >> (8 * level)
		for start := int64(0); start < all; start += width {
			count := all - start
			if count > width {
				count = width
			}
			tile := read(filepath.Join(directory, path(fmt.Sprintf("tile/%d", level), start/width, count)))
			if int64(len(tile)) != 32*count {
				fail(fmt.Sprintf("the tile with the hashes of level %d from %d on has another length", level, start))
			}
			for place := int64(0); place < count; place++ {
				hash := stored[tlog.StoredHashIndex(8*level, start+place)]
				if string(hash[:]) != string(tile[32*place:32*place+32]) {
					fail(fmt.Sprintf("hash %d of level %d is not that of the entries", start+place, level))
				}
			}
		}
	}
}

func verifyProof(file, event []byte, verifier note.Verifier) {
	head, signed, found := strings.Cut(string(file), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		fail("it is no proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err)
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		check(err)
		if len(hash) != 32 {
			fail("a line of the proof is no hash")
		}
		proof = append(proof, tlog.Hash(*(*[32]byte)(hash)))
	}
	size, root := open([]byte(signed), verifier)
	if tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(event)) != nil {
		fail(fmt.Sprintf("the proof does not show that the event is at position %d", index))
	}
	fmt.Printf("intact: the event is at position %d\n", index)
}

// path is that of a tile: groups of three digits, and the width of one that is not full.
func path(kind string, index, count int64) string {
	groups := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		groups = fmt.Sprintf("x%03d/%s", index%1000, groups)
	}
	if count < width {
		groups += fmt.Sprintf(".p/%d", count)
	}
	return kind + "/" + groups
}

func read(name string) []byte {
	contents, err := os.ReadFile(name)
	check(err)
	return contents
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
