namespace Glm.Distributed;

/// <summary>
/// What connects the ranks of a job: messages of bytes between two of them, which arrive in the order in which they were sent under one tag. All sums and
/// collectives are built on it in <see cref="ProcessGroup"/>, so that every link gives the same bits.
/// </summary>
internal abstract class Link
{
    private int _nextTag = 1;

    /// <summary>This rank, from 0.</summary>
    public abstract int Rank { get; }

    /// <summary>Number of ranks.</summary>
    public abstract int Size { get; }

    /// <summary>Begins to send a part of a pinned array, which must not change before <see cref="Wait"/>.</summary>
    public abstract Message Send(int peer, int tag, byte[] buffer, int start, int count);

    /// <summary>Begins to receive into a part of a pinned array. Messages under one tag are waited for in the order in which they were begun.</summary>
    public abstract Message Receive(int peer, int tag, byte[] buffer, int start, int count);

    /// <summary>Whether a message that is sent has left its array.</summary>
    public abstract bool IsDone(Message message);

    /// <summary>Returns when a message has arrived, or has left its array.</summary>
    /// <exception cref="GlmException">The peer is lost.</exception>
    public abstract void Wait(Message message);

    /// <summary>The least tag that this rank has not used; every group takes one that none of its members knows.</summary>
    public int NextTag
    {
        get => Volatile.Read(ref _nextTag);
        set => Volatile.Write(ref _nextTag, value);
    }
}

/// <summary>A message under way.</summary>
internal abstract class Message;
