# SPDX-License-Identifier: Apache-2.0
# The fuzz targets: as tests that replay their corpora, and to be searched by
# libFuzzer. Part of Makefile.am.

unit_tests += \
	t/113-scan-fuzz.t \
	t/135-token-fuzz.t \
	t/140-protocol-fuzz.t \
	t/141-request-fuzz.t \
	t/142-settings-fuzz.t \
	t/143-framing-fuzz.t \
	t/144-stream-fuzz.t \
	t/145-result-fuzz.t

FUZZ_LDADD = cgi/libcgi.a common/libcommon.a $(FCGI_LIBS) $(PQ_LIBS) \
	$(JSONC_LIBS) $(CONFUSE_LIBS) $(CRYPTO_LIBS) -lm
replay = t/fuzz/fuzz.h t/fuzz/replay.c

# What a target has done by itself, instead of the program or the C library.
comma = ,
fuzz_wrap_request = write
fuzz_wrap_stream = send streams_version streams_admit streams_dismiss streams_add
fuzz_wrap_result = db_send_id db_sync db_take db_finish
wrap = $(patsubst %,-Wl$(comma)--wrap=%,$(fuzz_wrap_$(1)))

t_113_scan_fuzz_t_SOURCES = t/fuzz/fuzz_scan.c $(replay)
t_113_scan_fuzz_t_LDADD = $(FUZZ_LDADD)
t_135_token_fuzz_t_SOURCES = t/fuzz/fuzz_token.c $(replay)
t_135_token_fuzz_t_LDADD = $(FUZZ_LDADD)
t_140_protocol_fuzz_t_SOURCES = t/fuzz/fuzz_protocol.c $(replay)
t_140_protocol_fuzz_t_LDADD = $(FUZZ_LDADD)
t_141_request_fuzz_t_SOURCES = t/fuzz/fuzz_request.c $(replay)
t_141_request_fuzz_t_LDADD = $(FUZZ_LDADD)
t_141_request_fuzz_t_LDFLAGS = $(AM_LDFLAGS) $(call wrap,request)
t_142_settings_fuzz_t_SOURCES = t/fuzz/fuzz_settings.c $(replay)
t_142_settings_fuzz_t_LDADD = $(FUZZ_LDADD)
t_143_framing_fuzz_t_SOURCES = t/fuzz/fuzz_framing.c $(replay)
t_143_framing_fuzz_t_LDADD = $(FUZZ_LDADD)
t_144_stream_fuzz_t_SOURCES = t/fuzz/fuzz_stream.c $(replay)
t_144_stream_fuzz_t_LDADD = $(FUZZ_LDADD)
t_144_stream_fuzz_t_LDFLAGS = $(AM_LDFLAGS) $(call wrap,stream)
t_145_result_fuzz_t_SOURCES = t/fuzz/fuzz_result.c $(replay)
t_145_result_fuzz_t_LDADD = $(FUZZ_LDADD)
t_145_result_fuzz_t_LDFLAGS = $(AM_LDFLAGS) $(call wrap,result)

# What drives t/114-scan-differential.t.
t_fuzz_differential_SOURCES = t/fuzz/differential.c t/fuzz/digest.c \
	t/fuzz/digest.h t/fuzz/documents.c t/fuzz/documents.h
t_fuzz_differential_LDADD = common/libcommon.a $(PQ_LIBS)

# The scanner against JSON.parse and jsonb, on 10,000,000 documents.
check-differential: check-programs
	SCALE=$(or $(SCALE),1) $(TEST_ENVIRONMENT) $(PROVE) -v \
	    $(srcdir)/t/114-scan-differential.t
.PHONY: check-differential

# For libFuzzer all of the program is compiled by clang, beside what is compiled
# for use.
fuzz_sanitizers = -fsanitize=address,undefined -fno-sanitize-recover=all
fuzz_objects = $(patsubst %.c,fuzz/%.o,$(filter %.c, \
	$(common_libcommon_a_SOURCES) $(cgi_libcgi_a_SOURCES)))
fuzz_targets = framing protocol request result scan settings stream token
fuzz_programs = $(addprefix fuzz/fuzz_,$(fuzz_targets))
fuzz/%.o: $(srcdir)/%.c
	$(AM_V_CC)$(MKDIR_P) $(@D) && \
	$(CLANG) -std=gnu17 -D_GNU_SOURCE $(AM_CPPFLAGS) -I. -O1 -g \
	    -fno-omit-frame-pointer -fsanitize=fuzzer-no-link \
	    $(fuzz_sanitizers) -pthread -MMD -c -o $@ $<
fuzz/program.a: $(fuzz_objects)
	$(AM_V_AR)rm -f $@ && $(AR) crs $@ $(fuzz_objects)
fuzz/fuzz_%: fuzz/t/fuzz/fuzz_%.o fuzz/program.a
	$(AM_V_CCLD)$(CLANG) -fsanitize=fuzzer $(fuzz_sanitizers) -pthread \
	    $(call wrap,$*) -o $@ $< fuzz/program.a \
	    $(filter-out cgi/libcgi.a common/libcommon.a,$(FUZZ_LDADD))
# Kept between runs, as what they need.
.SECONDARY: $(fuzz_programs:fuzz/%=fuzz/t/fuzz/%.o)
-include $(wildcard fuzz/*/*.d fuzz/*/*/*.d)

# Each target is searched for SECONDS: make check-fuzz SECONDS=600 TARGET=scan
check-fuzz: all
	@if $(srcdir)/t/fuzz/run can "$(CLANG)"; then \
		$(MAKE) $(AM_MAKEFLAGS) $(fuzz_programs) && \
		$(srcdir)/t/fuzz/run $(or $(SECONDS),60) $(or $(SEED),1) \
		    $(or $(TARGET),$(fuzz_targets)); \
	else \
		echo "check-fuzz: skipped, as clang's libFuzzer is not installed" \
		    "(Debian: clang, libclang-rt-14-dev)"; \
	fi

# The corpora anew, of what check-fuzz has found; into the source folder.
fuzz-corpus: $(fuzz_programs)
	$(srcdir)/t/fuzz/run minimise $(or $(TARGET),$(fuzz_targets))
clean-local:
	rm -rf fuzz
.PHONY: check-fuzz fuzz-corpus
