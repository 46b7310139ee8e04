#include "textflag.h"

// func Note(s *Site)
//
// Go calls this directly, so R29 is the frame pointer of the function whose caller is wanted: what it
// points to is that of the caller, and the word above it the return address. Nothing here can be
// preempted, so the stack does not move.
TEXT ·Note(SB), NOSPLIT|NOFRAME, $0-8
	MOVD s+0(FP), R0
	MOVD 8(g), R1    // g.stack.hi, whose offset runtime/cgo relies on
	SUB  $16, R1, R1 // the last frame that may be read
	MOVD RSP, R2
	SUB  $16, R2, R2 // R29 of a function that has no more than its frame
	MOVD R29, R3
	MOVD $4, R5

next:
	CMP  R2, R3
	BLS  done
	CMP  R1, R3
	BHI  done
	MOVD 8(R3), R4
	MOVD.P R4, 8(R0)
	MOVD R3, R2
	MOVD (R3), R3
	SUBS $1, R5, R5
	BNE  next

done:
	RET
