/* Why checks are made, for a person who reads --explain: X(NAME, "what an attacker or an accident gains without it"). */
#pragma once

#define REASONS_WHY(X)                                                                                               \
    X(NOT_CONFIGURED,            "nothing is trusted unless somebody said so")                                        \
    X(INIT_DATA,                 "the workload's configuration is what you wrote only if its digest is here")         \
    X(TPM_AK_UNTRUSTED,          "whoever holds an unknown key can sign any PCR values")                              \
    X(TDX_FORMAT,                  "a quote has one layout; bytes that nobody signed must not be taken for part of it") \
    X(TDX_BAD_ROOT,                "trust starts at a key that you chose: it must at least be what you think it is")  \
    X(TDX_BAD_CHAIN,               "a certificate of another branch would stand in for the right one")                \
    X(TDX_BAD_CERTIFICATE,         "bytes that two parsers read differently hide what was signed")                    \
    X(TDX_UNTRUSTED_ROOT,          "the sender brings its chain, and could bring a root of its own")                  \
    X(TDX_BAD_PCK_CERT,            "another certificate of Intel's must not pass for a platform's")                   \
    X(TDX_BAD_CERT_SIGNATURE,      "without it anybody could have written the certificate")                           \
    X(TDX_BAD_PCK_EXTENSION,       "patch levels and platform family stand here: a missing one must not count as zero") \
    X(TDX_BAD_TCB_SIGNER,          "a platform's own key must not sign what platforms are judged by")                 \
    X(TDX_CERT_EXPIRED,            "a certificate vouches for its key in its time only")                              \
    X(TDX_CERT_NOT_YET_VALID,      "a certificate vouches for its key in its time only")                              \
    X(TDX_BAD_CRL,                 "a list that cannot be read revokes nothing")                                      \
    X(TDX_CRL_ISSUER_MISMATCH,     "a list of another authority says nothing about this chain")                       \
    X(TDX_BAD_CRL_SIGNATURE,       "whoever hides a revocation would write an empty list")                            \
    X(TDX_CRL_EXPIRED,             "an old list does not know what was revoked since")                                \
    X(TDX_CRL_NOT_YET_VALID,       "a list from the future is a wrong clock or a forgery")                            \
    X(TDX_PCK_REVOKED,             "Intel has withdrawn this platform's key, perhaps because it was extracted")       \
    X(TDX_PCK_CA_REVOKED,          "Intel has withdrawn the authority of all such platforms")                         \
    X(TDX_TCB_SIGNER_REVOKED,      "Intel has withdrawn the key that signs TCB information")                          \
    X(TDX_BAD_COLLATERAL_FORMAT,   "a document that two parsers read differently hides a level")                      \
    X(TDX_BAD_COLLATERAL_SIGNATURE, "whoever runs old firmware would write a document that calls it up to date")      \
    X(TDX_COLLATERAL_EXPIRED,      "an old document does not know the flaws found since")                             \
    X(TDX_COLLATERAL_NOT_YET_VALID, "a document from the future is a wrong clock or a forgery")                       \
    X(TDX_TCB_INFO_MISMATCH,       "the levels of one platform family say nothing about another")                     \
    X(TDX_BAD_QE_REPORT_SIGNATURE, "it ties the quoting enclave to a processor that Intel certified")                 \
    X(TDX_BAD_QE_REPORT_DATA,      "without it any key could have signed the quote")                                  \
    X(TDX_QE_IDENTITY_MISMATCH,    "any enclave of the platform could pass for Intel's, which alone checks what it signs") \
    X(TDX_BAD_ATTESTATION_KEY,     "a point off the curve makes signatures forgeable")                                \
    X(TDX_BAD_QUOTE_SIGNATURE,     "this is what makes the quote the platform's word")                                \
    X(TDX_TDX_MODULE_MISMATCH,     "every measurement in the quote is this module's word: it must be Intel's")        \
    X(TDX_POLICY_DEBUG,            "the host can read and write the memory of a TD that can be debugged")             \
    X(TDX_POLICY_UNTRUSTED_BITS,   "the other bits of this group open the TD as well")                                \
    X(TDX_POLICY_SEPT_VE_DISABLE,  "the host could run the guest's #VE handler at any instruction, by removing a page") \
    X(TDX_POLICY_MIGRATABLE,       "a migration TD can take the TD's state elsewhere")                                \
    X(TDX_POLICY_ATTRIBUTES,       "an attribute that you did not foresee may weaken the TD")                         \
    X(TDX_POLICY_XFAM,             "a processor state that the guest does not expect may leak between its parts")     \
    X(TDX_POLICY_MRSERVICETD,      "a service TD has rights over this one")                                           \
    X(TDX_POLICY_MRTD,             "this is which firmware was started")                                              \
    X(TDX_POLICY_MRSEAM,           "which build of the TDX module speaks")                                            \
    X(TDX_POLICY_MRCONFIGID,       "the workload's configuration is what you wrote only if its digest is here")       \
    X(TDX_POLICY_MROWNER,          "whose TD it is, as its creator put it")                                           \
    X(TDX_POLICY_MROWNERCONFIG,    "how its owner configured it")                                                     \
    X(TDX_POLICY_RTMR0,            "what the host gave the firmware: memory, ACPI tables, secure boot variables")     \
    X(TDX_POLICY_RTMR1,            "which kernel, or which loader, the firmware started")                             \
    X(TDX_POLICY_RTMR2,            "which command line and initrd were used")                                         \
    X(TDX_POLICY_RTMR3,            "what the running system has extended since")                                      \
    X(TDX_POLICY_REPORT_DATA,      "without it the quote may be old, or of another connection")                       \
    X(TDX_POLICY_FMSPC,            "any genuine platform is not one of yours")                                        \
    X(TDX_POLICY_PPID,             "any genuine processor is not one of yours")                                       \
    X(TDX_POLICY_PLATFORM_INSTANCE, "any genuine platform is not one of yours; keys of others have been extracted")   \
    X(TDX_TCB_NOT_SUPPORTED,       "no level of Intel's describes this platform: nothing is known of its flaws")      \
    X(TDX_TCB_STATUS,              "known flaws of old firmware and microcode are open")                              \
    X(TDX_TCB_ADVISORY,            "each advisory is a flaw that you have to judge")                                  \
    X(TDX_TCB_EVALUATION_NUMBER,   "genuine collateral from before a recovery does not know of it")                   \
    X(TDX_EVENT_LOG_FORMAT,        "a log that cannot be read explains nothing")                                      \
    X(TDX_EVENT_LOG_REPLAY,        "nobody signs the log: only registers that it replays to make its digests true")   \
    X(TDX_EVENT_LOG_SEPARATOR,     "events slipped in behind a separator pass for those of another boot stage")       \
    X(TPM_FORMAT,                  "a quote has one layout; bytes behind it were signed by nobody")                   \
    X(TPM_MAGIC,                   "a restricted key signs outside data too, but never data that begins like a quote") \
    X(TPM_TYPE,                    "another attestation of the same key must not pass for a quote")                   \
    X(TPM_AK_FORMAT,               "the signature means nothing without a key that can be read")                      \
    X(TPM_AK_ATTRIBUTES,           "a key that is not restricted signs any quote that its owner writes")              \
    X(TPM_AK_UNKNOWN_ATTRIBUTES,   "a key that is not restricted signs any quote that its owner writes")              \
    X(TPM_AK_NAME,                 "any TPM's key is not one of yours")                                               \
    X(TPM_SIGNATURE_FORMAT,        "bytes that two parsers read differently hide what was signed")                    \
    X(TPM_SIGNATURE_SCHEME,        "a weaker scheme with the same key would be easier to forge")                      \
    X(TPM_WEAK_HASH,               "collisions of SHA-1 can be made")                                                 \
    X(TPM_SIGNATURE,               "this is what makes the quote the TPM's word")                                     \
    X(TPM_NONCE,                   "without it the quote may be old, or of another connection")                       \
    X(TPM_NONCE_UNCHECKED,         "without one the quote may be old, or of another connection")                      \
    X(TPM_CLOCK_UNSAFE,            "after a power loss the TPM's clock may repeat itself")                            \
    X(TPM_PCR_SELECTION,           "other registers than you asked for may be the harmless ones")                     \
    X(TPM_PCR_FORMAT,              "values that fit no selection say nothing")                                        \
    X(TPM_PCR_DIGEST,              "values beside a quote are anybody's word until its digest confirms them")         \
    X(TPM_WEAK_BANK,               "collisions of SHA-1 can be made: another boot may have the same values")          \
    X(TPM_EVENT_LOG_FORMAT,        "a log that cannot be read explains nothing")                                      \
    X(TPM_EVENT_LOG_REPLAY,        "nobody signs the log: only registers that it replays to make its digests true")   \
    X(TPM_EVENT_LOG_UNEXPLAINED,   "something was measured that the log keeps quiet about")                           \
    X(TPM_EVENT_LOG_SEPARATOR,     "events slipped in behind a separator pass for those of another boot stage")       \
    X(TPM_EVENT_DATA,              "the text of an event can be edited without its digest changing")                  \
    X(TPM_PCR_VALUE,               "this is what was started")                                                        \
    X(TPM_HCL_FORMAT,              "a report has one layout; anything else was not made by the paravisor")            \
    X(TPM_HCL_BINDING,             "the host runs the vTPM's transport: only hardware evidence says whose key it is") \
    X(TPM_HCL_KEY,                 "a choice between keys would be the sender's")                                     \
    X(TPM_HCL_USER_DATA,           "without it the hardware evidence may be old, or of another connection")           \
    X(TPM_EK_FORMAT,               "bytes that two parsers read differently hide what was signed")                    \
    X(TPM_EK_CHAIN,                "without it anybody could have made the TPM in software")                          \
    X(TPM_EK_USE,                  "another certificate of the manufacturer must not pass for a TPM's")               \
    X(TPM_EK_KEY,                  "the certificate of one TPM says nothing about another")                           \
    X(SNP_VERSION,                 "a layout that we do not know may mean something else by the same bytes")          \
    X(SNP_ALGORITHM,               "a weaker signature scheme would be easier to forge")                              \
    X(SNP_POLICY_BITS,             "a bit that we do not know may grant the host something")                          \
    X(SNP_KEY_BITS,                "a bit that we do not know may change what the signature means")                   \
    X(SNP_VMPL_RANGE,              "firmware reports no such privilege level")                                        \
    X(SNP_RESERVED,                "a reserved field that is set belongs to a layout that we do not know")            \
    X(SNP_TCB_RESERVED,            "patch levels read by another product's layout would be compared with the wrong ones") \
    X(SNP_CHIP_ID_TAIL,            "a chip must have one name")                                                       \
    X(SNP_SIGNATURE_TAIL,          "bytes that no signature covers could carry anything, and make two reports of one") \
    X(SNP_CERTIFICATE_TABLE,       "the host writes the table: its offsets must not reach outside it")                \
    X(SNP_ID_BLOCK,                "an ID block has one layout; anything else was not what the firmware checked")     \
    X(SNP_ID_BLOCK_SIGNATURE,      "without it anybody could have named the guest")                                   \
    X(SNP_ID_BLOCK_BINDING,        "the block of another guest says nothing about this one")                          \
    X(SNP_LENGTH,                "a report has one length and one layout; anything else was not made by the firmware") \
    X(SNP_NOT_SIGNED,            "the host can have reports left unsigned")                                          \
    X(SNP_PRODUCT_UNKNOWN,       "the root key is chosen by the CPU, never by what the certificate says of itself")  \
    X(SNP_ROOT_MISSING,          "trust starts at a key that you chose, not at one that came with the evidence")     \
    X(SNP_ROOT_NOT_PINNED,       "a sender could bring a root of its own")                                           \
    X(SNP_VEK_MISSING,           "the report's signature means nothing without the key that AMD certified")          \
    X(SNP_INTERMEDIATE_MISSING,  "the VEK is not signed by the root itself")                                         \
    X(SNP_CERTIFICATE_MALFORMED, "bytes that two parsers read differently hide what was signed")                     \
    X(SNP_CERTIFICATE_VERSION,   "only version 3 certificates have the extensions that bind chip and firmware")      \
    X(SNP_CERTIFICATE_ALGORITHM, "a weaker signature scheme with the same key would be easier to forge")             \
    X(SNP_CERTIFICATE_ISSUER,    "a certificate of another branch would stand in for the right one")                 \
    X(SNP_CERTIFICATE_SUBJECT,   "a VLEK's issuer must not vouch for a VCEK, nor the reverse")                       \
    X(SNP_CERTIFICATE_KEY,       "AMD's keys have one size; another one is not AMD's")                               \
    X(SNP_CERTIFICATE_USE,       "a chip's key must not be able to certify further keys")                            \
    X(SNP_CERTIFICATE_EXTENSION, "a critical extension may forbid the very use that is made of the certificate")     \
    X(SNP_CERTIFICATE_SIGNATURE, "without it anybody could have written the certificate")                            \
    X(SNP_CERTIFICATE_NOT_YET,   "a certificate vouches for its key in its time only")                               \
    X(SNP_CERTIFICATE_EXPIRED,   "a certificate vouches for its key in its time only")                               \
    X(SNP_VEK_FIELD,             "a missing patch level must not count as zero, and chip and cloud must not mix")    \
    X(SNP_CRL_MISSING,           "without a list a withdrawn intermediate is still believed")                        \
    X(SNP_CRL_MALFORMED,         "a list that cannot be read revokes nothing")                                       \
    X(SNP_CRL_ISSUER,            "a list of another root says nothing about this chain")                             \
    X(SNP_CRL_ALGORITHM,         "a weaker signature scheme would be easier to forge")                               \
    X(SNP_CRL_SIGNATURE,         "whoever hides a revocation would write an empty list")                             \
    X(SNP_CRL_EXTENSION,         "a critical extension may change what the list means")                              \
    X(SNP_CRL_NOT_YET,           "a list from the future is a wrong clock or a forgery")                             \
    X(SNP_CRL_EXPIRED,           "an old list does not know what was revoked since")                                 \
    X(SNP_CRL_ROLLED_BACK,       "an older list was put in place of one already seen")                               \
    X(SNP_REVOKED,               "AMD has withdrawn this certificate")                                               \
    X(SNP_SIGNER_MISMATCH,       "a cloud's key must not pass for a chip's")                                         \
    X(SNP_SIGNATURE_RANGE,       "numbers outside the group are no signature")                                       \
    X(SNP_SIGNATURE,             "this is what makes the report the firmware's word")                                \
    X(SNP_TCB_BINDING,           "an attacker with the key of old, broken firmware claims a new patch level")        \
    X(SNP_CHIP_BINDING,          "a report of one chip must not stand on the certificate of another")                \
    X(SNP_CHIP_MASKED,           "the host can hide which chip it is")                                               \
    X(SNP_PRODUCT_BINDING,       "a product whose keys leaked must not vouch for another")                           \
    X(SNP_VERSION_REFUSED,       "old versions lack the CPU model and the memory alias check")                        \
    X(SNP_PRODUCT_REFUSED,       "Milan's root seed can be extracted in software: any of its reports can be forged")  \
    X(SNP_SIGNER_REFUSED,        "a VLEK tells the cloud provider, but not which machine")                           \
    X(SNP_CSP_REFUSED,           "any provider of AMD's could have signed")                                          \
    X(SNP_CHIP_REFUSED,          "any genuine chip is not one of yours")                                             \
    X(SNP_DEBUG,                 "the host can read and write the memory of a debuggable guest")                     \
    X(SNP_MIGRATABLE,            "a migration agent can take the guest's state elsewhere")                           \
    X(SNP_GUEST_POLICY_GRANTS,   "the host chose the guest's policy, and granted itself something")                  \
    X(SNP_GUEST_POLICY_DEMANDS,  "the host chose the guest's policy, and left out a protection")                     \
    X(SNP_GUEST_ABI,             "older firmware interfaces lack protections")                                       \
    X(SNP_POLICY_CONTRADICTED,   "real firmware would have refused this launch")                                     \
    X(SNP_VMPL,                  "at a lower privilege somebody else's code runs above the guest")                   \
    X(SNP_MEASUREMENT,           "this is which firmware, kernel and initrd were started")                           \
    X(SNP_REPORT_DATA,           "without it the report may be old, or of another connection")                       \
    X(SNP_HOST_DATA,             "the workload's configuration is what you wrote only if its digest is here")        \
    X(SNP_ID_KEY,                "who signed the identity of this guest")                                            \
    X(SNP_AUTHOR_KEY,            "who vouched for the key that signed")                                              \
    X(SNP_AUTHOR_KEY_FLAG,       "real firmware sets both or neither")                                               \
    X(SNP_FAMILY_ID,             "which family of images the signer named")                                          \
    X(SNP_IMAGE_ID,              "which image the signer named")                                                     \
    X(SNP_GUEST_SVN,             "an older, signed image with known flaws could be started again")                   \
    X(SNP_TCB_ORDER,             "no real firmware reports this order")                                              \
    X(SNP_PROVISIONAL,           "the firmware can be rolled back under the running guest")                          \
    X(SNP_TCB_LOW,               "known flaws of old firmware and microcode are open")                               \
    X(SNP_LAUNCH_TCB_LOW,        "a guest that began under flawed firmware stays tainted after an update")           \
    X(SNP_FIRMWARE_LOW,          "older firmware lacks protections")                                                 \
    X(SNP_PLATFORM_REQUIRED,     "the alias check keeps doctored memory modules from replaying guest memory")        \
    X(SNP_PLATFORM_REFUSED,      "a platform feature that you do not accept is on")                                  \
    X(SNP_MITIGATIONS,           "a mitigation of a published flaw was not active, at launch or now")
