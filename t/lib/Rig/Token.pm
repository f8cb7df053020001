# SPDX-License-Identifier: Apache-2.0
#
# JSON Web Tokens, as a login would sign them, and the files of keys that the
# program reads.
#
#	my $folder = Rig::Token::folder();	# hs256, rs256.pem, es256.pem
#	my $token = Rig::Token::sign('{"sub":"ann","exp":4102444800}');

package Rig::Token;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(encode_base64);

use Rig::Place qw(srcdir workdir slurp spew server_user);

# It must never be seen in a log; see Rig::Secrets.
our $secret = 'planted-secret-that-signs-tokens-0123456789';

my $folder;

# A folder with a file of the key of each algorithm.
sub folder
{
	return $folder if defined $folder;
	$folder = workdir() . '/keys';
	mkdir $folder or die "$folder: $!";
	spew("$folder/hs256", "$secret\n");
	chmod 0600, "$folder/hs256";
	# A web server that starts the program runs it as this one.
	if (my $user = server_user()) {
		chown +(getpwnam $user)[2, 3], "$folder/hs256" or die "chown: $!";
	}
	for my $name (qw(rs256.pem es256.pem)) {
		spew("$folder/$name", slurp(srcdir() . "/t/keys/$name"));
		chmod 0644, "$folder/$name";
	}
	return $folder;
}

sub base64url
{
	return encode_base64($_[0], '') =~ tr{+/}{-_}r =~ s/=+\z//r;
}

# The token of these claims (JSON). Options: header (JSON), secret.
sub sign
{
	my ($claims, %option) = @_;
	my $text = base64url($option{header} // '{"alg":"HS256","typ":"JWT"}')
	    . '.' . base64url($claims);
	return "$text." . base64url(hmac_sha256($text, $option{secret} // $secret));
}

# A token that somebody else's key has signed: "rs256" or "es256", of ann.
sub kept
{
	my ($name) = @_;
	return slurp(srcdir() . "/t/keys/$name.jwt") =~ s/\s+\z//r;
}

# The program's environment for HS256.
sub environment
{
	return (REPLICACHE_AUTH => 'jwt', REPLICACHE_JWT_ALGORITHM => 'HS256',
	    REPLICACHE_JWT_KEY_FILE => folder() . '/hs256');
}

# A token of a user that is good for some seconds.
sub of_user
{
	my ($user, $seconds) = @_;
	my $exp = time + ($seconds // 600);
	return sign(qq({"sub":"$user","exp":$exp}));
}

1;
