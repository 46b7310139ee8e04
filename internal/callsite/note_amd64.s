#include "textflag.h"

// func Note(s *Site)
//
// Go calls this directly, so BP is the frame pointer of the function whose caller is wanted: what it
// points to is that of the caller, and the word above it the return address. Nothing here can be
// preempted, so the stack does not move.
TEXT ·Note(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ   s+0(FP), DI
	MOVQ   (TLS), AX
	MOVQ   8(AX), DX    // g.stack.hi, whose offset runtime/cgo relies on
	SUBQ   $16, DX      // the last frame that may be read
	MOVQ   SP, AX
	MOVQ   BP, BX

	CMPQ BX, AX
	JLS  done
	CMPQ BX, DX
	JHI  done
	MOVQ 8(BX), CX
	MOVQ CX, (DI)
	MOVQ (BX), AX

	CMPQ AX, BX
	JLS  done
	CMPQ AX, DX
	JHI  done
	MOVQ 8(AX), CX
	MOVQ CX, 8(DI)
	MOVQ (AX), BX

	CMPQ BX, AX
	JLS  done
	CMPQ BX, DX
	JHI  done
	MOVQ 8(BX), CX
	MOVQ CX, 16(DI)
	MOVQ (BX), AX

	CMPQ AX, BX
	JLS  done
	CMPQ AX, DX
	JHI  done
	MOVQ 8(AX), CX
	MOVQ CX, 24(DI)

done:
	RET
