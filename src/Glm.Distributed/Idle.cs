namespace Glm.Distributed;

/// <summary>
/// How a rank waits: at first it only lets others run, as answers come within microseconds while all compute; who waits for long sleeps between looks, so that a
/// prompt that nobody answers burns no processor.
/// </summary>
internal struct Idle
{
    private const int Burst = 32; // looks between two sleeps, since a large message arrives in pieces, each of which wants a look
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(50), LongPatience = TimeSpan.FromSeconds(2);

    private readonly long _began = Environment.TickCount64;
    private int _looks;

    public Idle() { }

    /// <summary>Time since the wait began.</summary>
    public readonly TimeSpan Waited => TimeSpan.FromMilliseconds(Environment.TickCount64 - _began);

    /// <summary>Lets a little time pass.</summary>
    public void Once()
    {
        _looks++;
        if (_looks % Burst != 0 || Waited < Patience) Thread.Yield();
        else Thread.Sleep(Waited < LongPatience ? 1 : 10);
    }
}
