-- SPDX-License-Identifier: Apache-2.0
--
-- grants.sql: what the role of replicache.fcgi may do, and no more.
--
--     createuser web
--     psql -v ON_ERROR_STOP=1 -v role=web -f grants.sql app
--
-- Run it as the owner of what replicache.sql installed, in the same schema, after
-- tables and mutators were registered, and again when others are. It is told
-- there, at replicache_grant(), what is granted, and which roles are refused.

select replicache_grant(:'role') \gset granted_
