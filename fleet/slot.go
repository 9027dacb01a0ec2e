package fleet

import (
	"hash/crc32"
	"strconv"
)

// Slots is how many there are, in every fleet: more than it has replicas.
const Slots = 256

// SlotOf is the slot of a session.
func SlotOf(sessionID string) int { return int(crc32.ChecksumIEEE([]byte(sessionID)) % Slots) }

// SlotName is a slot as a part of subjects and keys.
func SlotName(slot int) string { return strconv.Itoa(slot) }
