using System.Runtime.InteropServices;
using System.Text;
using Glm.Cli;

// Text is UTF-8 whatever the locale says, so that Chinese survives a pipe.
Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
Console.InputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);

using var cancellation = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
return new CommandLine(Terminal.OfProcess()).Run(args, cancellation.Token);

// The first signal asks the command to stop in order; a second one ends the process at once.
void Cancel(PosixSignalContext signal)
{
    signal.Cancel = !cancellation.IsCancellationRequested;
    cancellation.Cancel();
}
