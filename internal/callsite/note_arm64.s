#include "textflag.h"

// func Note(s *Site)
//
// Go calls this directly, and it has no frame, so R29 is the frame pointer of the function that
// called Note. R29 points to the saved frame pointer of that function's caller, and the word above
// it is the return address. This code cannot be preempted, so the stack does not move.
TEXT ·Note(SB), NOSPLIT|NOFRAME, $0-8
	MOVD s+0(FP), R0
	MOVD 8(g), R1    // g.stack.hi, whose offset runtime/cgo relies on
	SUB  $16, R1, R1 // the highest frame pointer that may be followed
	MOVD RSP, R2
	SUB  $16, R2, R2 // exclusive lower bound; R29 is at least 8 bytes below RSP
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
