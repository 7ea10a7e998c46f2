/*
 * How far a volume was brought: our own addition to the key protocol, below its prefix, for guests that attested and that
 * would get the volume's key. REPO/TYPE/TAG is the key's.
 *
 *   GET  /kbs/v0/cloister/epoch/REPO/TYPE/TAG    {"epoch":N}; 0: never
 *   POST /kbs/v0/cloister/epoch/REPO/TYPE/TAG    {"epoch":N}: from now on at N; refused with PolicyDeny unless N is beyond
 *                                                what is known
 */
#pragma once

#include "keys/api/rcar.h"

#define KBS_EPOCHS KBS_PREFIX "/cloister/epoch/"
