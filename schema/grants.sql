-- SPDX-License-Identifier: Apache-2.0
--
-- grants.sql: what the role of replicache.fcgi may do, and no more.
--
--     createuser web
--     psql -v ON_ERROR_STOP=1 -v role=web -f grants.sql app
--
-- Run it as the owner of what replicache.sql installed, in the same schema, after
-- tables and mutators were registered, and again when others are: then what it
-- granted before and is not needed any more is revoked. replicache_grant() says what
-- is granted, and which roles are refused.

select replicache_grant(:'role') \gset granted_
