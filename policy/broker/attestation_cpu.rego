# Appraises the evidence of one CPU: AR4SI claims for the trust vector, and who the workload says it is.
#
# hardware       2 genuine and known, 32 signed under a development root: nothing protects it, 97 not recognised
# executables    3 approved set at boot, 4 approved but for some parts, 33 not recognised
# configuration  2 known, 3 no known vulnerability, 36 not known, 0 no claim
package policy

default hardware := 97

default executables := 33

default configuration := 36

trust_claims := {
	"executables": executables,
	"hardware": hardware,
	"configuration": configuration,
	"file-system": 0,
	"instance-identity": 0,
	"runtime-opaque": 0,
	"storage-opaque": 0,
	"sourced-data": 0,
}

known(name, value) if value in query_reference_value(name)

# `endorsement` is the broker's word on who vouches for the evidence: vendor, operator, development or nobody.
hardware := 32 if {
	input.endorsement.root == "development"
} else := 2 if is_recognised

# ---- sample: no hardware behind it

executables := 3 if {
	input.sample
	known("launch_digest", input.sample.launch_digest)
}

is_recognised if {
	input.sample
	known("svn", input.sample.svn)
	input.sample.platform_version.major == query_reference_value("major_version")
	input.sample.platform_version.minor >= query_reference_value("minimum_minor_version")
}

configuration := 2 if {
	input.sample
	input.sample.debug == false
}

# ---- AMD SEV-SNP

executables := 3 if {
	input.snp
	known("snp_launch_measurement", input.snp.measurement)
}

is_recognised if {
	input.snp
	known("snp_bootloader", input.snp.reported_tcb_bootloader)
	known("snp_microcode", input.snp.reported_tcb_microcode)
	known("snp_snp_svn", input.snp.reported_tcb_snp)
	known("snp_tee_svn", input.snp.reported_tcb_tee)
}

# No TCB is registered: the chain to AMD's root, its revocation list and the TCB in the certificate stand alone.
is_recognised if {
	input.snp
	input.endorsement.root == "vendor"
	every name in ["snp_bootloader", "snp_microcode", "snp_snp_svn", "snp_tee_svn"] {
		query_reference_value(name) == null
	}
}

configuration := 2 if {
	input.snp
	snp_is_closed
	input.snp.platform_smt_enabled == query_reference_value("snp_smt_enabled")
	input.snp.platform_tsme_enabled == query_reference_value("snp_tsme_enabled")
	input.snp.policy_abi_major == query_reference_value("snp_guest_abi_major")
	input.snp.policy_abi_minor == query_reference_value("snp_guest_abi_minor")
	input.snp.policy_single_socket == query_reference_value("snp_single_socket")
	input.snp.policy_smt_allowed == query_reference_value("snp_smt_allowed")
} else := 3 if {
	input.snp
	snp_is_closed
}

snp_is_closed if {
	input.snp.policy_debug_allowed == false
	input.snp.policy_migrate_ma == false
}

# ---- Intel TDX

executables := 3 if {
	input.tdx
	tdx_registers_are_known
	tdx_event("EV_EFI_BOOT_SERVICES_APPLICATION", "device_paths", "File(kernel)") == query_reference_value("tdvfkernel")
	tdx_event("EV_EVENT_TAG", "string", "LOADED_IMAGE::LoadOptions") == query_reference_value("tdvfkernelparams")
} else := 4 if {
	input.tdx
	tdx_registers_are_known
}

tdx_registers_are_known if {
	known("rtmr_1", input.tdx.quote.body.rtmr_1)
	known("rtmr_2", input.tdx.quote.body.rtmr_2)
}

# The digest of the event of this type whose detail is, or holds, this text.
tdx_event(type, detail, text) := digest if {
	some event in input.tdx.uefi_event_logs
	event.type_name == type
	has_text(event.details[detail], text)
	digest := event.digests[0].digest
}

has_text(value, text) if value == text

has_text(value, text) if text in value

is_recognised if {
	input.tdx
	input.tdx.quote.header.tee_type == "81000000"
	input.tdx.quote.header.vendor_id == "939a7233f79c4ca9940a0db3957f0607"
	known("mr_td", input.tdx.quote.body.mr_td)
	input.tdx.tcb_status == "UpToDate"
	input.tdx.collateral_expiration_status == "0"
}

configuration := 2 if {
	input.tdx
	input.tdx.td_attributes.debug == false
	known("xfam", input.tdx.quote.body.xfam)
}

# ---- a TEE behind a cloud's virtual TPM

az_snp := input["az-snp-vtpm"]

executables := 3 if {
	known("measurement", az_snp.measurement)
	known("snp_pcr11", az_snp.tpm.pcr11)
}

is_recognised if {
	known("tcb_bootloader", az_snp.reported_tcb_bootloader)
	known("tcb_microcode", az_snp.reported_tcb_microcode)
	known("tcb_snp", az_snp.reported_tcb_snp)
	known("tcb_tee", az_snp.reported_tcb_tee)
}

configuration := 2 if {
	az_snp.policy_debug_allowed == false
	known("smt_enabled", az_snp.platform_smt_enabled)
	known("tsme_enabled", az_snp.platform_tsme_enabled)
	known("abi_major", az_snp.policy_abi_major)
	known("abi_minor", az_snp.policy_abi_minor)
	known("single_socket", az_snp.policy_single_socket)
	known("smt_allowed", az_snp.policy_smt_allowed)
}

az_tdx := input["az-tdx-vtpm"]

executables := 3 if known("tdx_pcr11", az_tdx.tpm.pcr11)

is_recognised if {
	known("mr_td", az_tdx.quote.body.mr_td)
	az_tdx.tcb_status == "UpToDate"
}

configuration := 2 if {
	az_tdx.td_attributes.debug == false
	known("xfam", az_tdx.quote.body.xfam)
}

# ---- a TPM alone: its key is self-asserted, so it must be one we know

executables := 3 if {
	input.tpm
	known("tpm_pcr11", input.tpm.pcr11)
	known("trusted_aks", input.tpm.ak_public)
}

# Booted by stage0: firmware, kernel, initrd, command line, as `cloister measure tpm` prints them.
executables := 3 if {
	known("tpm_pcr00", input.tpm.pcr00)
	known("tpm_pcr04", input.tpm.pcr04)
	known("tpm_pcr09", input.tpm.pcr09)
	known("tpm_pcr12", input.tpm.pcr12)
	known("trusted_aks", input.tpm.ak_public)
}

is_recognised if {
	input.tpm
	not is_vouched_for_by_nobody
}

is_vouched_for_by_nobody if input.endorsement.root == "nobody"

configuration := 0 if input.tpm

# ---- IBM Secure Execution: the image is bound to the host key

executables := 3 if input.se

is_recognised if input.se

configuration := 2 if input.se

# ---- what the workload's policy names, for the token

containers := object.get(input, ["init_data_claims", "agent_policy_claims", "containers"], [])

# Cloister's own policy.json names images by the digest of their manifest.
own_containers := object.get(json.unmarshal(input.init_data_claims["policy.json"]), "containers", [])

image_names := array.concat(
	[name | some c in containers; name := c.OCI.Annotations["io.kubernetes.cri.image-name"]],
	[name | some c in own_containers; name := c.image],
)

user_ids := [id | some c in containers; id := c.OCI.Process.User.UID]

validated := object.union_n([
	{key: image_names | some key in ["container_images"]; count(image_names) > 0},
	{key: user_ids | some key in ["container_uids"]; count(user_ids) > 0},
])

extensions := [{"name": "ear.trustee.identifiers", "key": -18, "value": {"validated": validated}}]
