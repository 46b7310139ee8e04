package source

import (
	"slices"
	"testing"
)

func TestMalformedMountDoesNotHideOthers(t *testing.T) {
	const good = "36 35 8:1 / /data rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	for name, text := range map[string]string{
		"first": "36 35\n" + good, "last": good + "36 35\n", "both": "36 35\n" + good + "37 35\n",
	} {
		mounts, err := fillableMounts([]byte(text))
		points := []string{}
		for _, m := range mounts {
			points = append(points, m.Point)
		}
		if !slices.Equal(points, []string{"/data"}) || err == nil {
			t.Errorf("%s: got mounts at %q and error %v, want /data and an error", name, points, err)
		}
	}
	if mounts, err := fillableMounts([]byte(good)); len(mounts) != 1 || err != nil {
		t.Errorf("got %v and error %v, want one mount and none", mounts, err)
	}
}
