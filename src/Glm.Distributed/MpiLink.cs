using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Glm.Distributed;

/// <summary>
/// Ranks that are processes, over MPI. Only messages of bytes that are looked at now and then: a wait never enters the library for long, so it can yield and end. The
/// library moves a message while somebody looks; what was sent is looked after by a thread, so that it arrives while the sender computes.
/// </summary>
internal sealed class MpiLink : Link
{
    private readonly Lock _library = new(); // threads take turns in it (MPI_THREAD_SERIALIZED)
    private readonly nint _world, _byte;
    private readonly BlockingCollection<Request> _sent = [];
    private readonly Thread _courier;

    /// <summary>Takes part in the job.</summary>
    /// <exception cref="GlmException">The library is missing or refuses.</exception>
    public MpiLink()
    {
        // The runtime's handlers of signals stay, and who waits inside the library lets others run.
        MpiLibrary.SetDefault("OMPI_MCA_opal_signal", "");
        MpiLibrary.SetDefault("OMPI_MCA_mpi_yield_when_idle", "1");
        Require(MpiLibrary.Initialize(0, 0, MpiLibrary.ThreadSerialized, out int provided), "MPI_Init_thread");
        if (provided < MpiLibrary.ThreadSerialized) throw new GlmException($"MPI: expected a library that threads can take turns in, found thread level {provided}");
        (_world, _byte) = (MpiLibrary.World, MpiLibrary.Byte);
        Require(MpiLibrary.ReturnErrors(), "MPI_Comm_set_errhandler");
        Require(MpiLibrary.Rank(_world, out int rank), "MPI_Comm_rank");
        Require(MpiLibrary.Size(_world, out int size), "MPI_Comm_size");
        (Rank, Size) = (rank, size);
        _courier = new Thread(LookAfterSent) { IsBackground = true, Name = "courier" };
        _courier.Start();
    }

    public override int Rank { get; }

    public override int Size { get; }

    public override Message Send(int peer, int tag, byte[] buffer, int start, int count)
    {
        Request message;
        lock (_library)
        {
            Require(MpiLibrary.Send(Marshal.UnsafeAddrOfPinnedArrayElement(buffer, start), count, _byte, peer, tag, _world, out nint request), $"sending to rank {peer}");
            message = new Request(request, buffer, peer);
        }
        _sent.Add(message);
        return message;
    }

    public override Message Receive(int peer, int tag, byte[] buffer, int start, int count)
    {
        lock (_library)
        {
            Require(MpiLibrary.Receive(Marshal.UnsafeAddrOfPinnedArrayElement(buffer, start), count, _byte, peer, tag, _world, out nint request), $"receiving from rank {peer}");
            return new Request(request, buffer, peer);
        }
    }

    public override bool IsDone(Message message)
    {
        var request = (Request)message;
        if (request.IsDone) return true;
        lock (_library)
        {
            if (request.IsDone) return true;
            Require(MpiLibrary.Test(ref request.Handle, out int done, 0), $"a message to or from rank {request.Peer}");
            return request.IsDone = done != 0;
        }
    }

    public override void Wait(Message message)
    {
        var idle = new Idle();
        while (!IsDone(message)) idle.Once();
    }

    /// <summary>Gives up a message that nobody will send.</summary>
    public void Cancel(Message message)
    {
        var request = (Request)message;
        if (IsDone(request)) return;
        lock (_library)
        {
            _ = MpiLibrary.Cancel(ref request.Handle);
            _ = MpiLibrary.Free(ref request.Handle);
        }
    }

    /// <summary>Leaves the job, when all ranks do.</summary>
    public void Complete()
    {
        _sent.CompleteAdding();
        _courier.Join();
        lock (_library) _ = MpiLibrary.Complete();
    }

    /// <summary>Ends all ranks of the job. Not under the lock: whoever holds it may wait for ever.</summary>
    public void Abort(int code) => _ = MpiLibrary.Abort(_world, code);

    private void LookAfterSent()
    {
        try
        {
            foreach (var message in _sent.GetConsumingEnumerable()) Wait(message);
        }
        catch (GlmException)
        {
            // Whoever waits for the message, or for an answer to it, hears of this from the library.
        }
    }

    private static void Require(int result, string what)
    {
        if (result != MpiLibrary.Success) throw new GlmException($"MPI: {what} failed with error {result}: a rank or the network is lost");
    }

    private sealed class Request(nint handle, byte[] buffer, int peer) : Message
    {
        public nint Handle = handle;

        public bool IsDone { get; set; }

        public int Peer => peer;

        /// <summary>Kept until the library is done with it.</summary>
        public byte[] Buffer => buffer;
    }
}
