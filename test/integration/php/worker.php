<?php
/*
 * A worker on PHP's extension: worker.php PORT NAME FUNCTION... runs until it is killed. The functions are those that
 * worker.c describes.
 */
[, $port, $name] = $argv;
$worker = new GearmanWorker();
$worker->addServer('127.0.0.1', (int) $port);
$worker->setId($name);

$bodies = [
    'reverse' => fn (GearmanJob $job) => strrev($job->workload()),
    'stream' => function (GearmanJob $job) {
        $job->sendStatus(1, 2);
        $job->sendData('one');
        $job->sendWarning('careful');
        $job->sendData('two');
        $job->sendStatus(2, 2);
        return 'whole';
    },
    'fail' => function (GearmanJob $job) {
        $job->sendFail();
    },
    'throw' => function (GearmanJob $job) {
        $job->sendException('exploded: ' . $job->workload());
    },
    'hold' => function (GearmanJob $job) use ($name) {
        $folder = $job->workload();
        file_put_contents("$folder/started", "$name\n", FILE_APPEND);
        while (!file_exists("$folder/gate")) {
            usleep(10000);
            clearstatcache();
        }
        return "held by $name";
    },
    'empty' => fn (GearmanJob $job) => '',
];

foreach (array_slice($argv, 3) as $function) {
    $worker->addFunction($function, $bodies[$function]);
}
while (true) {
    @$worker->work();
}
