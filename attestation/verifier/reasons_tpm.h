/* Reasons of the TPM appraiser; rows as attestation/verifier/reasons.h says. */
#pragma once

#define REASONS_OF_TPM(X)
