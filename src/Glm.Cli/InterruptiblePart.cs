namespace Glm.Cli;

/// <summary>A part of a command that an interrupt ends without ending the command.</summary>
internal sealed class InterruptiblePart : IDisposable
{
    private readonly Terminal _terminal;
    private readonly CancellationTokenSource _source;
    private readonly Lock _lock = new();
    private bool _over;

    public InterruptiblePart(Terminal terminal, CancellationToken cancellation)
    {
        _source = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _terminal = terminal;
        terminal.Part = this;
    }

    /// <summary>Cancelled when the part is to end, alone or with the command.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>Ends the part; false where it is over or was told before. Called on the thread of signals.</summary>
    public bool Interrupt()
    {
        lock (_lock)
        {
            if (_over || _source.IsCancellationRequested) return false;
            _source.Cancel();
            return true;
        }
    }

    public void Dispose()
    {
        _terminal.Part = null;
        lock (_lock)
        {
            _over = true;
            _source.Dispose();
        }
    }
}
