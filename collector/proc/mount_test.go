package proc

import "testing"

func TestParseMount(t *testing.T) {
	full := Mount{
		Device:  "254:1",
		Root:    "/a b",
		Point:   `/mnt\x`,
		Options: "rw,nosuid",
		FS:      "ext4",
		Source:  "/dev/vda1",
		Super:   "rw,discard",
	}
	short := full
	short.Source, short.Super = "", ""
	for name, c := range map[string]struct {
		line string
		want Mount // the zero Mount if an error is expected
	}{
		"optional fields":    {`90 26 254:1 /a\040b /mnt\134x rw,nosuid shared:1 - ext4 /dev/vda1 rw,discard`, full},
		"no optional fields": {`90 26 254:1 /a\040b /mnt\134x rw,nosuid - ext4 /dev/vda1 rw,discard`, full},
		"type only":          {`90 26 254:1 /a\040b /mnt\134x rw,nosuid - ext4`, short},
		"no separator":       {"90 26 254:1 / /mnt rw ext4 /dev/vda1 rw", Mount{}},
		"no mount point":     {"90 26 254:1 / - ext4 /dev/vda1 rw", Mount{}},
		"no type":            {"90 26 254:1 / /mnt rw -  ", Mount{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseMount([]byte(c.line))
			if got != c.want || (err != nil) != (c.want == Mount{}) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestReadOnlyMounts(t *testing.T) {
	for options, want := range map[[2]string]bool{
		{"rw", "rw"}: false, {"ro,nosuid", "rw"}: true, {"rw", "discard,ro"}: true, {"rw,errors=remount-ro", "rw"}: false,
	} {
		if got := (&Mount{Options: options[0], Super: options[1]}).ReadOnly(); got != want {
			t.Errorf("%v: got %v, want %v", options, got, want)
		}
	}
}
