# A worker on Gearman::Worker: worker.pl PORT NAME FUNCTION[:TIMEOUT]... runs until it is killed. The functions are
# those that worker.c describes.
use strict;
use warnings;
use Gearman::Worker;
use Time::HiRes ();

my ($port, $name, @functions) = @ARGV;
my $worker = Gearman::Worker->new(job_servers => ["127.0.0.1:$port"], client_id => $name);

my %bodies = (
    reverse => sub { scalar reverse $_[0]->arg },
    stream  => sub {
        my ($job) = @_;
        $job->set_status(1, 2);
        $worker->send_work_data($job, "one");
        $worker->send_work_warning($job, "careful");
        $worker->send_work_data($job, "two");
        $job->set_status(2, 2);
        return "whole";
    },
    fail  => sub { undef },
    throw => sub { die "exploded: " . $_[0]->arg . "\n" },
    hold  => sub {
        my $folder = $_[0]->arg;
        open my $started, ">>", "$folder/started" or die "cannot write to $folder\n";
        print {$started} "$name\n";
        close $started;
        Time::HiRes::sleep(0.01) until -e "$folder/gate";
        return "held by $name";
    },
    empty => sub { "" },
);

for (@functions) {
    my ($function, $timeout) = split /:/;
    my $body = $bodies{$function} or die "worker.pl: no function $function\n";
    $worker->register_function($function, defined $timeout ? ($timeout) : (), $body);
}
$worker->work;
