/* What guests ask of the broker [KBS 4 to 9]. Each function serves one route. */
#pragma once

#include "keys/broker/call.h"

/* attest.c */
FALLIBLE attest_challenge(struct call *call, struct err *err);
FALLIBLE attest_evidence(struct call *call, struct err *err);

/* resources.c */
FALLIBLE resource_get(struct call *call, struct err *err);
FALLIBLE epoch_tell(struct call *call, struct err *err); /* of a volume: whoever may have its key may ask, and advance it */
FALLIBLE epoch_take(struct call *call, struct err *err);
