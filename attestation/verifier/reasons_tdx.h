/* Reasons of the TDX appraiser; rows as attestation/verifier/reasons.h says. */
#pragma once

#define REASONS_OF_TDX(X)
