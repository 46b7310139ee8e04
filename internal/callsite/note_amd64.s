#include "textflag.h"

// func Note(s *Site)
//
// Go calls this directly, and it has no frame, so BP is the frame pointer of the function that
// called Note. BP points to the saved frame pointer of that function's caller, and the word above
// it is the return address. This code cannot be preempted, so the stack does not move.
TEXT ·Note(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ s+0(FP), DI
	MOVQ (TLS), AX
	MOVQ 8(AX), DX    // g.stack.hi, whose offset runtime/cgo relies on
	SUBQ $16, DX      // the highest frame pointer that may be followed
	XORL R8, R8
	XORL R9, R9
	XORL R10, R10
	XORL R11, R11
	MOVQ SP, AX
	MOVQ BP, BX

	CMPQ BX, AX
	JLS  done
	CMPQ BX, DX
	JHI  done
	MOVQ 8(BX), R8
	MOVQ (BX), AX

	CMPQ AX, BX
	JLS  done
	CMPQ AX, DX
	JHI  done
	MOVQ 8(AX), R9
	MOVQ (AX), BX

	CMPQ BX, AX
	JLS  done
	CMPQ BX, DX
	JHI  done
	MOVQ 8(BX), R10
	MOVQ (BX), AX

	CMPQ AX, BX
	JLS  done
	CMPQ AX, DX
	JHI  done
	MOVQ 8(AX), R11

done: // store two at a time, as Go copies them: a load wider than the preceding stores would stall
	MOVQ       R8, X0
	MOVQ       R9, X1
	PUNPCKLQDQ X1, X0
	MOVUPS     X0, (DI)
	MOVQ       R10, X0
	MOVQ       R11, X1
	PUNPCKLQDQ X1, X0
	MOVUPS     X0, 16(DI)
	RET
