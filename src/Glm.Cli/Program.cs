using System.Runtime.InteropServices;
using System.Text;
using Glm.Cli;

// Text is UTF-8 whatever the locale says, so that Chinese survives a pipe.
Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
Console.InputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);

var terminal = Terminal.OfProcess();
using var cancellation = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
return new CommandLine(terminal).Run(args, cancellation.Token);

// An interrupt ends a part of the command where there is one to end, such as an answer in a chat. Otherwise the first signal asks the command to stop in
// order, and a second one ends the process at once.
void Cancel(PosixSignalContext signal)
{
    if (signal.Signal == PosixSignal.SIGINT && terminal.InterruptPart())
    {
        signal.Cancel = true;
        return;
    }
    signal.Cancel = !cancellation.IsCancellationRequested;
    cancellation.Cancel();
}
